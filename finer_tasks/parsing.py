"""YAML and JSON from other hands, read so that nothing in them is lost and nothing in them can exhaust the machine."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from finer_tasks.errors import FinerError, at_line
from finer_tasks.text import harmless, well_formed

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")
# Far above any file that a person writes; aliases within aliases pass it in a dozen lines.
_MOST_VALUES = 100_000
# Far below what makes writing, comparing or showing a value overflow the stack.
_DEEPEST = 32


def read_yaml(path: Path, error: type[FinerError]) -> tuple[yaml.Node | None, Any]:
    """The nodes of a file, which know their lines, and its values; raises `error` with file and line.

    Beside what is no YAML it refuses a key given twice, of which YAML would keep the last, nesting deeper than Python
    can follow, and aliases that expand beyond all measure.
    """
    return parse_yaml(read_utf8(path, error), str(path), error)


def read_utf8(path: Path, error: type[FinerError], encoding: str = "utf-8", advice: str = "") -> str:
    """A file's text; raises `error` with the line that is no UTF-8, or with the advice where it cannot be read."""
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as problem:
        line = path.read_bytes()[: problem.start].count(b"\n") + 1
        raise error(at_line(path, line, "not UTF-8 text", "Save the file as UTF-8")) from problem
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}{advice}") from problem


def parse_yaml(text: str, source: str, error: type[FinerError]) -> tuple[yaml.Node | None, Any]:
    """As read_yaml, of a text; `source` says in messages where it comes from."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and _values(root, {}, source, error) > _MOST_VALUES:
            raise error(f"{source}: its aliases expand to more than {_MOST_VALUES:,} values. Write the values out")
        return root, yaml.safe_load(text)
    except RecursionError as problem:
        raise error(f"{source}: nested too deeply") from problem
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        what = problem.problem or problem.context or "not valid YAML"
        raise error(at_line(source, mark.line + 1 if mark else 1, f"not valid YAML: {what}")) from problem
    except (yaml.YAMLError, ValueError, OverflowError) as problem:  # a date such as 2024-13-01 is a ValueError
        raise error(f"{source}: not valid YAML: {' '.join(str(problem).split())}") from problem


def read_model(path: Path, kind: type[T], error: type[FinerError]) -> tuple[yaml.Node, T]:
    """The nodes of a YAML file and its values as a type that pydantic checks; raises `error` with file, line and key."""
    from pydantic import TypeAdapter, ValidationError

    root, raw = read_yaml(path, error)
    if root is None or not isinstance(raw, dict):
        raise error(at_line(path, 1, "expected keys with values"))
    try:
        return root, TypeAdapter(kind).validate_python(raw)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        keys = [part for part in first["loc"] if part != "[key]"]
        what = {"missing": "the key is missing", "extra_forbidden": "no such key is known"}.get(first["type"], first["msg"])
        text = f"{'.'.join(map(str, keys))}: {what.removeprefix('Value error, ')}"
        fix = "Put it in quotes" if first["type"] == "string_type" and not isinstance(first["input"], dict | list) else ""
        raise error(at_line(path, line_of(root, keys) or 1, harmless(text), fix)) from problem


def line_of(root: yaml.Node | None, location: Sequence[str | int]) -> int | None:
    """The line of a value by its keys and places, or of the last of them that is there; None where none is."""
    line = None
    for part in location:
        if isinstance(root, yaml.MappingNode):
            pair = next((pair for pair in root.value if pair[0].value == str(part)), None)
            if pair is None:
                break
            line, root = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(root, yaml.SequenceNode) and str(part).isdecimal() and int(part) < len(root.value):
            root = root.value[int(part)]
            line = root.start_mark.line + 1
        else:
            break
    return line


def _values(node: yaml.Node, known: dict[int, float], source: str, error: type[FinerError]) -> float:
    """How many values a node stands for with its aliases written out; infinitely many where it holds itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = float("inf")
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise error(at_line(source, line, f"key {key.value!r} is given twice, first in line {seen[key.value]}"))
            seen[str(key.value)] = line
            inner += [key, value]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    known[id(node)] = 1 + sum(_values(part, known, source, error) for part in inner)
    return known[id(node)]


def parse_json(content: bytes | str, allow_nan: bool = False) -> Any:
    """JSON in UTF-8 without repeated keys, lone surrogates or deep nesting; raises ValueError.

    Numbers are finite unless `allow_nan`, since lmms-eval writes NaN for figures that do not exist.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key is there twice")
        return found

    try:
        value = json.loads(content.decode() if isinstance(content, bytes) else content, object_pairs_hook=unique)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_json(value, allow_nan)
    return value


def differing_keys(path: Path, values: Mapping[str, Any]) -> list[str]:
    """The keys of some values that the JSON object in a file has otherwise or lacks; raises OSError or ValueError."""
    there = parse_json(path.read_bytes())
    return [key for key in values if not isinstance(there, dict) or there.get(key) != values[key]]


def _check_json(value: Any, allow_nan: bool) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and well_formed(item) != item:
                raise ValueError("a text holds a lone surrogate")
            elif isinstance(item, float) and not (allow_nan or math.isfinite(item)):
                raise ValueError(f"{item} is no number of JSON")
        if not below:
            return
        level = below
    raise ValueError("it is nested too deeply")


def explain(error: ValidationError) -> str:
    """The first problem of a validation in a line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:200] or "the whole"
    return harmless(f"{where}: {first['msg'].removeprefix('Value error, ')}")
