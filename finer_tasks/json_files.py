"""JSON from other hands: each way in which it can be broken is one ValueError."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import ValidationError

from finer_tasks.text import harmless, well_formed

# Far below what makes writing, comparing or showing a value overflow the stack.
DEEPEST = 32


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
    _check(value, allow_nan)
    return value


def _check(value: Any, allow_nan: bool) -> None:
    level = [value]
    for _ in range(DEEPEST):
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
    return harmless(f"{'.'.join(str(part) for part in first['loc'])[:200] or 'the whole'}: {first['msg']}")
