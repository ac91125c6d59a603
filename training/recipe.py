"""Reading recipes: YAML on top of a frozen dataclass, with `key=value` on the command line on top of that."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from finer_tasks.training.errors import RecipeError

T = TypeVar("T")


def read_recipe(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The recipe in a YAML file, or a built-in one by its name; raises RecipeError with file, line and field.

    `overrides` are `key=value` with dots for nested keys, values in YAML ("lora.rank=64").
    """
    source = locate(path)
    text = source.read_text(encoding="utf-8")
    try:
        root, raw = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{source}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{source}: expected keys and values, see the recipes that come with finer-tasks")
    for override in overrides:
        _override(raw, override)
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        raise RecipeError(_explain(kind, source, root, error)) from error


def locate(path: Path) -> Path:
    """The file itself, or the recipe of that name that comes with the package."""
    if path.is_file():
        return path
    built_in = Path(str(resources.files("finer_tasks.training") / "recipes"))
    candidate = built_in / f"{path.name.removesuffix('.yaml')}.yaml"
    if candidate.is_file() and path.parent == Path("."):
        return candidate
    names = ", ".join(sorted(found.stem for found in built_in.glob("*.yaml")))
    raise RecipeError(f"no recipe {path}; give a YAML file or one of the built-in {names}")


def recipe_hash(values: Any) -> str:
    """First 12 hex digits of the hash of a recipe's values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _override(raw: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals or not name:
        raise RecipeError(f"{override!r}: give key=value, for example learning_rate=1e-4")
    *parents, last = name.split(".")
    for parent in parents:
        inner = raw.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{override!r}: {parent!r} has no keys below it")
        raw = inner
    try:
        raw[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"{override!r}: the value is not valid YAML") from error


def _explain(kind: type, source: Path, root: Any, error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        location = [str(part) for part in item["loc"]]
        where = f"{source}:{_line(root, location)}" if _line(root, location) else f"{source}"
        if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            problems.append(f"{where}: unknown key {'.'.join(location)!r}.{_nearest(kind, location)}")
        elif item["type"] in ("missing", "missing_argument"):
            problems.append(f"{where}: key {'.'.join(location)!r} is missing.")
        else:
            problems.append(f"{where}: {'.'.join(location)}: {item['msg']} (found {item['input']!r}).")
    return "\n".join(problems)


def _line(root: Any, location: Sequence[str]) -> int | None:
    line = None
    for part in location:
        if not isinstance(root, yaml.MappingNode):
            break
        pair = next((pair for pair in root.value if pair[0].value == part), None)
        if pair is None:
            break
        line, root = pair[0].start_mark.line + 1, pair[1]
    return line


def _nearest(kind: type, location: Sequence[str]) -> str:
    """What the key was meant to be, over the keys of all parts of the recipe."""
    known = {key for schema in _schemas(kind) for key in schema.get("properties", {})}
    near = difflib.get_close_matches(location[-1], known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known keys: {', '.join(sorted(known))}."


def _schemas(kind: type) -> list[dict[str, Any]]:
    schema = TypeAdapter(kind).json_schema()
    return [schema, *schema.get("$defs", {}).values()]
