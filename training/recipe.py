"""Reading recipes: YAML on top of a frozen dataclass, with `key=value` on the command line on top of that."""

from __future__ import annotations

import difflib
import hashlib
import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from finer_tasks.parsing import line_of, parse_yaml, read_yaml
from finer_tasks.training.built_in import built_in_recipes
from finer_tasks.training.errors import RecipeError

# What every part of a recipe is checked by: no unknown key, no number that is none or infinite.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # the range of NumPy's generators, the narrowest of those seeded

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring = 2, 80
T = TypeVar("T")


def read_recipe(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The recipe in a YAML file, or a built-in one by its name; raises RecipeError with file, line and field.

    `overrides` are `key=value` with dots for nested keys, values in YAML ("lora.rank=64").
    """
    return _validated(kind, _found(locate(path, getattr(kind, "FOLDER", "")), overrides))


def read_recipe_of(kinds: Mapping[str, type[T]], key: str, path: Path, overrides: Sequence[str] = ()) -> T:
    """As read_recipe, of the kind that the recipe's `key` names; the first kind where the recipe does not have it."""
    first = next(iter(kinds))
    found = _found(locate(path, getattr(kinds[first], "FOLDER", "")), overrides)
    name = found.raw.get(key, first)
    if not isinstance(name, str) or name not in kinds:
        told = found.given.get((key,))
        where = repr(told) if told else f"{found.source}:{line_of(found.root, (key,))}"
        raise RecipeError(f"{where}: {key}: give {' or '.join(kinds)} (found {_SHORT.repr(name)}).")
    return _validated(kinds[name], found)


def locate_keys(path: Path, folder: str) -> dict[str, Any]:
    """Keys and values of a recipe file, or of a built-in recipe of a folder, as they stand there; raises RecipeError."""
    return _read(locate(path, folder))[1]


def locate(path: Path, folder: str) -> Path:
    """The file itself, or the recipe of that name that comes with the package, among those of a kind (all without one)."""
    if path.is_file():
        return path
    recipes = [recipe for recipe in built_in_recipes() if folder in ("", recipe.folder)]
    known = {recipe.name: recipe.path for recipe in recipes}
    name = path.name.removesuffix(".yaml")
    if name in known and path.parent in (Path("."), Path(folder)):
        return known[name]
    raise RecipeError(f"no recipe {path}; give a YAML file or one of the built-in {', '.join(sorted(known))}")


def recipe_hash(values: Any) -> str:
    """First 12 hex digits of the hash of a recipe's values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Found:
    """Keys and values as they stand in a file, with what was given in their place."""

    source: Path
    root: Any
    raw: dict[str, Any]
    given: dict[tuple[str, ...], str]


def _found(source: Path, overrides: Sequence[str]) -> _Found:
    root, raw = _read(source)
    return _Found(source, root, raw, dict(_override(raw, override) for override in overrides))


def _validated(kind: type[T], found: _Found) -> T:
    try:
        return TypeAdapter(kind).validate_python(found.raw)
    except ValidationError as error:
        raise RecipeError(_explain(kind, found.source, found.root, found.given, error)) from error


def _read(source: Path) -> tuple[Any, dict[str, Any]]:
    root, raw = read_yaml(source, RecipeError)
    if not isinstance(raw, dict):
        raise RecipeError(f"{source}: expected keys and values, see the recipes that come with finer-tasks")
    return root, raw


def _override(raw: dict[str, Any], override: str) -> tuple[tuple[str, ...], str]:
    """Put a `key=value` into the values; returns where it went and how it was written."""
    name, equals, value = override.partition("=")
    keys = tuple(name.split("."))
    if not equals or not all(keys):
        raise RecipeError(f"{override!r}: give key=value, for example learning_rate=1e-4")
    for parent in keys[:-1]:
        inner = raw.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{override!r}: {parent!r} has no keys below it")
        raw = inner
    raw[keys[-1]] = parse_yaml(value, repr(override), RecipeError)[1]
    return keys, override


def _explain(kind: type, source: Path, root: Any, given: dict[tuple[str, ...], str], error: ValidationError) -> str:
    problems = []
    for item in _apart(error.errors()):
        location, message = [str(part) for part in item["loc"]], item["msg"].removeprefix("Value error, ")
        if not location:  # of the whole, whose values would tell nothing
            problems.append(f"{_where(source, given, message)}: {message}.")
            continue
        field, line = ".".join(location), line_of(root, location)
        told = next((text for keys, text in given.items() if keys == tuple(location[: len(keys)])), None)
        where = repr(told) if told else f"{source}:{line}" if line else f"{source}"
        if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            problems.append(f"{where}: unknown key {field!r}.{_nearest(kind, location)}")
        elif item["type"] in ("missing", "missing_argument"):
            problems.append(f"{where}: key {field!r} is missing.")
        else:
            problems.append(f"{where}: {field}: {message} (found {_SHORT.repr(item['input'])}).")
    return "\n".join(problems)


def _apart(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without what follows from others: a list that is too short because its items were refused."""
    below = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in below]


def _where(source: Path, given: dict[tuple[str, ...], str], message: str) -> str:
    """The value given on the command line for the key that a message begins with, else the file."""
    named = message.split(" ", 1)[0].rstrip(":")
    told = next((text for keys, text in given.items() if ".".join(keys) in (named, named.partition("=")[0])), None)
    return repr(told) if told else str(source)


def _nearest(kind: type, location: Sequence[str]) -> str:
    """What the key was meant to be, over the keys of all parts of the recipe."""
    known = {key for schema in _schemas(kind) for key in schema.get("properties", {})}
    near = difflib.get_close_matches(location[-1], known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known keys: {', '.join(sorted(known))}."


def _schemas(kind: type) -> list[dict[str, Any]]:
    schema = TypeAdapter(kind).json_schema()
    return [schema, *schema.get("$defs", {}).values()]
