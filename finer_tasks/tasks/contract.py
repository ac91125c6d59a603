"""What we rely on in lmms-eval beyond its documented interfaces, and what happens where that has changed.

lmms-eval starts us whichever tasks are run, so that a change may only end runs of our own tasks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from importlib import import_module, metadata
from typing import Any

from loguru import logger

import finer_tasks
from finer_tasks.errors import FinerError, user_errors
from finer_tasks.tasks.table import list_groups, list_tasks

TESTED_LMMS_EVAL = ("0.7.3",)
# Module and object, and its functions with the parameters that we name or take.
_NEEDED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lmms_eval.tasks:TaskManager": {
        "initialize_tasks": ("include_path",),
        "match_tasks": ("task_list",),
        "_get_config": ("name",),
    },
    "lmms_eval.caching.response_cache:ResponseCache": {
        "create": ("model", "model_args", "task_dict"),
        "_lookup": ("cache_key",),
        "_is_valid_response": ("response", "request_type"),
    },
    "lmms_eval.utils": {"load_yaml_config": ("yaml_path", "mode"), "simple_parse_args_string": ()},
}
# Where tasks are asked for, in the versions that we know.
_ASKING = ("match_tasks", "load_task_or_group", "_get_config")


class ChangedLmmsEvalError(FinerError):
    """lmms-eval is not as the tasks need it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the tasks of finer-tasks {finer_tasks.__version__} cannot run in this lmms-eval: {what}. "
            f"Install lmms-eval {' or '.join(TESTED_LMMS_EVAL)}"
        )


def check() -> None:
    """Raise ChangedLmmsEvalError where something that we rely on has gone or takes other arguments."""
    for place, functions in _NEEDED.items():
        for name, parameters in functions.items():
            require(place, name, parameters)


def require(place: str, name: str, parameters: Iterable[str]) -> None:
    """Raise ChangedLmmsEvalError unless the module or "module:object" has the function with at least these parameters."""
    module, _, owner = place.partition(":")
    try:
        holder = getattr(import_module(module), owner) if owner else import_module(module)
        known = inspect.signature(getattr(holder, name)).parameters
    except (ImportError, AttributeError, TypeError, ValueError):
        raise ChangedLmmsEvalError(f"{place.replace(':', '.')}.{name} is gone") from None
    if missing := [parameter for parameter in parameters if parameter not in known]:
        raise ChangedLmmsEvalError(f"{place.replace(':', '.')}.{name} takes no {missing[0]!r} any more")


def refuse(problem: ChangedLmmsEvalError) -> None:
    """Say that our tasks cannot be run, and raise it where one of them is asked for; other tasks run as ever."""
    logger.warning(f"{problem}. Other tasks are not touched")
    try:
        manager = import_module("lmms_eval.tasks").TaskManager
    except (ImportError, AttributeError):
        return
    for name in _ASKING:
        if callable(method := getattr(manager, name, None)):
            setattr(manager, name, _refusing(method, problem))


def _refusing(method: Callable[..., Any], problem: ChangedLmmsEvalError) -> Callable[..., Any]:
    @functools.wraps(method)
    def refusing(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = [name for value in (*args, *kwargs.values()) for name in (value if isinstance(value, list) else [value])]
        with user_errors():
            if any(isinstance(name, str) and _asks_for_ours(name) for name in asked):
                raise problem
        return method(self, *args, **kwargs)

    return refusing


def _asks_for_ours(pattern: str) -> bool:
    names = (*list_groups(), *(task.name for task in list_tasks()))
    return pattern.startswith("finer") and any(fnmatch(name, pattern) for name in names)


def warn_if_untested() -> None:
    """Say that results should be compared, where this version of lmms-eval is none that we were tested with."""
    try:
        found = metadata.version("lmms_eval")
    except metadata.PackageNotFoundError:
        return
    if found not in TESTED_LMMS_EVAL:
        logger.warning(
            f"finer-tasks {finer_tasks.__version__} was tested with lmms-eval {', '.join(TESTED_LMMS_EVAL)}, "
            f"this is {found}: compare a few results before you trust them"
        )
