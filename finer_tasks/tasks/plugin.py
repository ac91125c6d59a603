"""lmms-eval's entry point: makes our tasks and models known to it, and binds tasks to prepared data.

lmms-eval reads the entry-point group `lmms_eval.models` before it looks for tasks; the callable
there returns our models and also wraps three methods of its TaskManager and one of its cache:

* initialize_tasks, so that task_yamls/ is searched beside lmms-eval's own folder;
* match_tasks, so that unprepared data are noticed before a model is loaded;
* _get_config, so that a task of ours is bound to its prepared data (finer_tasks/binding.py);
* ResponseCache.create, so that `--use_cache` gives no answers of weights that were replaced.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any

from loguru import logger

import finer_tasks
from finer_tasks.errors import user_errors
from finer_tasks.tasks.generate import task_folder

TESTED_LMMS_EVAL = ("0.7.3",)
TASK_PREFIX = "finer_"


def register() -> list[Any]:
    """Entry point: extend lmms-eval's TaskManager once and return the manifests of our models."""
    from lmms_eval.models.registry_v2 import ModelManifest

    with user_errors():
        _warn_if_untested()
        extend_task_manager()
        extend_response_cache()
    return [
        ModelManifest(
            model_id="finer_hf",
            simple_class_path="finer_tasks.models.finer_hf.FinerHFSimple",
            chat_class_path="finer_tasks.models.finer_hf.FinerHF",
        )
    ]


def extend_task_manager() -> None:
    """Wrap the methods of TaskManager, once; explain where lmms-eval has changed under us."""
    from lmms_eval.tasks import TaskManager

    if getattr(TaskManager, "_finer_extended", False):
        return
    if not all(hasattr(TaskManager, name) for name in ("initialize_tasks", "match_tasks", "_get_config")):
        _explain("add its tasks to", "TaskManager")
        return
    initialize, match, get_config = TaskManager.initialize_tasks, TaskManager.match_tasks, TaskManager._get_config

    @functools.wraps(initialize)
    def initialize_tasks(self: Any, include_path: Any = None, *args: Any, **kwargs: Any) -> Any:
        with user_errors():
            paths = [include_path] if isinstance(include_path, str) else list(include_path or [])
            return initialize(self, [*paths, str(task_folder())], *args, **kwargs)

    @functools.wraps(match)
    def match_tasks(self: Any, task_list: Any) -> Any:
        names = match(self, task_list)
        with user_errors():
            _require_what_tasks_need(functools.partial(get_config, self), names)
        return names

    @functools.wraps(get_config)
    def bound_config(self: Any, name: str) -> Any:
        config = get_config(self, name)
        if name.startswith(TASK_PREFIX) and isinstance(config.get("task"), str):
            from finer_tasks.tasks.binding import bind

            with user_errors():
                return bind(config, getattr(self, "model_name", None))
        return config

    TaskManager.initialize_tasks, TaskManager.match_tasks, TaskManager._get_config = initialize_tasks, match_tasks, bound_config
    TaskManager._finer_extended = True


def _require_what_tasks_need(get_config: Callable[[str], Any], names: Iterable[str]) -> None:
    """Raise if data, prompts or attributes of our tasks and groups among `names` are not in order.

    lmms-eval asks for the names before it loads the model and for the configs after it.
    """
    from finer_tasks.tasks.binding import identify

    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if not f"{name}_".startswith(TASK_PREFIX):
            continue
        config = get_config(name)
        tasks = config.get("task")
        if isinstance(tasks, str):
            identify(config)
        else:
            waiting += tasks or ()


def extend_response_cache() -> None:
    """Put the fingerprint of the weights into the key under which `--use_cache` keeps answers to our tasks.

    Failed requests, which it keeps like answers, are made again.
    """
    from lmms_eval.caching.response_cache import ResponseCache

    if getattr(ResponseCache, "_finer_extended", False):
        return
    if not all(hasattr(ResponseCache, name) for name in ("create", "_lookup", "_is_valid_response")):
        _explain("keep answers of replaced weights out of --use_cache of", "ResponseCache")
        return
    create = ResponseCache.create.__func__

    @functools.wraps(create)
    def created(cls: Any, *args: Any, model: Any = "", model_args: Any = "", task_dict: Any = None, **kwargs: Any) -> Any:
        if _has_ours(task_dict or {}):
            with user_errors():
                model = f"{model}@{_weights(model, model_args)}"
        cache = create(cls, *args, model=model, model_args=model_args, task_dict=task_dict, **kwargs)
        return _without_failures(cache) if _has_ours(task_dict or {}) else cache

    ResponseCache.create = classmethod(created)
    ResponseCache._finer_extended = True


def _without_failures(cache: Any) -> Any:
    """The cache, which now neither keeps failed requests nor finds those it has kept."""
    from finer_tasks.replies import no_answer, rounds_of

    lookup, is_valid = cache._lookup, cache._is_valid_response

    def answered(response: Any) -> bool:
        return no_answer(rounds_of([getattr(response, "text", response)])) != "request_failed"

    def found(key: str) -> Any:
        response = lookup(key)
        return response if answered(response) else None

    cache._lookup = found
    cache._is_valid_response = lambda response, kind: is_valid(response, kind) and answered(response)
    return cache


def _weights(model: Any, arguments: Any) -> str:
    """Fingerprint of the weights; one that never comes again where they are in memory and may be any."""
    from lmms_eval.utils import simple_parse_args_string

    from finer_tasks.models.fingerprint import weights_fingerprint

    if not isinstance(model, str):
        return uuid.uuid4().hex
    return weights_fingerprint(arguments if isinstance(arguments, dict) else simple_parse_args_string(arguments or ""))


def _has_ours(tasks: Mapping[Any, Any]) -> bool:
    return any(
        str(name).startswith(TASK_PREFIX) or (isinstance(task, dict) and _has_ours(task)) for name, task in tasks.items()
    )


def _explain(what: str, changed: str) -> None:
    logger.error(
        f"finer-tasks {finer_tasks.__version__} cannot {what} this lmms-eval: {changed} has changed. "
        f"Install lmms-eval {' or '.join(TESTED_LMMS_EVAL)}"
    )


def _warn_if_untested() -> None:
    try:
        found = metadata.version("lmms_eval")
    except metadata.PackageNotFoundError:
        return
    if found not in TESTED_LMMS_EVAL:
        logger.warning(
            f"finer-tasks {finer_tasks.__version__} was tested with lmms-eval {', '.join(TESTED_LMMS_EVAL)}, "
            f"this is {found}: compare a few results before you trust them"
        )
