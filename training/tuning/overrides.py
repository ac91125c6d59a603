"""Some of what our trainers override of transformers' and TRL's is private there: a run begins only where it is as it was."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import metadata
from typing import Any

from finer_tasks.training.errors import TrainingError

TESTED = {"transformers": ("5.24.0",), "trl": ("1.16.0",)}
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def require_unchanged(ours: type, theirs: type) -> None:
    """Raise TrainingError if a method that `ours` marks as an override is gone from `theirs` or has other parameters there.

    Parameters that ours hands on as *arguments or **named may be any.
    """
    for name, method in vars(ours).items():
        if not getattr(method, "__override__", False):
            continue
        there = getattr(theirs, name, None)
        if there is None:
            raise TrainingError(_changed(theirs, f"{theirs.__name__} has no {name}"))
        known, found = _parameters(method), _parameters(there)
        if found[: len(known)] != known or (len(found) > len(known) and not _hands_on(method)):
            what = f"{theirs.__name__}.{name} takes ({', '.join(found)}), not ({', '.join(known)})"
            raise TrainingError(_changed(theirs, what))


def _parameters(method: Callable[..., Any]) -> list[str]:
    return [name for name, parameter in inspect.signature(method).parameters.items() if parameter.kind not in _VARIADIC]


def _hands_on(method: Callable[..., Any]) -> bool:
    return any(parameter.kind in _VARIADIC for parameter in inspect.signature(method).parameters.values())


def _changed(theirs: type, what: str) -> str:
    package = theirs.__module__.partition(".")[0]
    tested = TESTED[package]
    return (
        f"{package} {metadata.version(package)} has changed: its {what}, so that a run might go wrong unseen. "
        f"finer train was tested with {package} {' and '.join(tested)}: pip install {package}=={tested[-1]}"
    )
