"""lmms-eval's entry point: makes our tasks and models known to it, and binds tasks to prepared data.

lmms-eval reads the entry-point group `lmms_eval.models` before it looks for tasks; the callable
there returns our models and also wraps three methods of its TaskManager:

* initialize_tasks, so that task_yamls/ and the tasks of users' datasets are searched beside lmms-eval's own folder;
* match_tasks, so that unprepared data are noticed before a model is loaded;
* _get_config, so that a task of ours is bound to its prepared data (binding.py).

Tasks of others pass through untouched, whatever their names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from finer_tasks.datasets.registry import dataset_names
from finer_tasks.errors import in_one_line, typed, user_errors
from finer_tasks.tasks.contract import ChangedLmmsEvalError, check, refuse, warn_if_untested
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.own import check_own_tasks, own_task_folders


def register() -> list[Any]:
    """Entry point: extend lmms-eval once and return the manifests of our models.

    Called at every start of lmms-eval, so it raises nothing: where lmms-eval has changed, our tasks raise when they are
    asked for.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    warn_if_untested()
    try:
        check()
        _extend()
    except ChangedLmmsEvalError as error:
        refuse(error)
    except Exception as error:  # what nobody foresaw is no reason to end a run of other tasks
        refuse(ChangedLmmsEvalError(typed(error)))
    return [
        ModelManifest(
            model_id="finer_hf",
            simple_class_path="finer_tasks.models.finer_hf.FinerHFSimple",
            chat_class_path="finer_tasks.models.finer_hf.FinerHF",
        )
    ]


def _extend() -> None:
    from finer_tasks.tasks.caching import extend_response_cache

    extend_task_manager()
    extend_response_cache()


def extend_task_manager() -> None:
    """Wrap the methods of TaskManager, once."""
    from lmms_eval.tasks import TaskManager

    if getattr(TaskManager, "_finer_extended", False):
        return
    initialize, match, get_config = TaskManager.initialize_tasks, TaskManager.match_tasks, TaskManager._get_config

    @functools.wraps(initialize)
    def initialize_tasks(self: Any, include_path: Any = None, *args: Any, **kwargs: Any) -> Any:
        with user_errors():
            paths = [include_path] if isinstance(include_path, str) else list(include_path or [])
            return initialize(self, [*paths, str(task_folder()), *own_task_folders()], *args, **kwargs)

    @functools.wraps(match)
    def match_tasks(self: Any, task_list: Any) -> Any:
        names = match(self, task_list)
        with user_errors():
            check_own_tasks(task_list)
            _require_what_tasks_need(self.task_index, functools.partial(get_config, self), names)
        return names

    @functools.wraps(get_config)
    def bound_config(self: Any, name: str) -> Any:
        from finer_tasks.tasks.binding import bind, is_ours

        config = get_config(self, name)
        if not is_ours(config):
            return config
        with user_errors():
            return bind(config, getattr(self, "model_name", None))

    TaskManager.initialize_tasks, TaskManager.match_tasks, TaskManager._get_config = initialize_tasks, match_tasks, bound_config
    TaskManager._finer_extended = True


def _require_what_tasks_need(
    index: Mapping[str, Mapping[str, Any]], get_config: Callable[[str], Mapping[str, Any]], names: Iterable[str]
) -> None:
    """Raise if data, prompts or attributes of our tasks among `names`, and in the groups among them, are not in order.

    lmms-eval asks for the names before it loads the model and for the configs after it.
    """
    from lmms_eval.utils import load_yaml_config

    from finer_tasks.tasks.binding import TaskError, identify, is_ours

    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        entry = index.get(name, {})
        path = entry.get("yaml_path", -1)  # -1 for tags
        plain = entry if path == -1 else load_yaml_config(path, mode="simple")  # imports no one's functions
        waiting += _members(plain)
        if plain.get("dataset_path") not in dataset_names():
            continue
        try:
            config = get_config(name)
        except ImportError as error:
            raise TaskError(f"task {name} in {path}: {in_one_line(error)}") from error
        if is_ours(config):
            identify(config)


def _members(group: Mapping[str, Any]) -> list[str]:
    """The names of a group's or tag's tasks; none for a task."""
    tasks = group.get("task")
    members = tasks if isinstance(tasks, list) else []
    found = (member.get("task") if isinstance(member, dict) else member for member in members)
    return [name for name in found if isinstance(name, str)]
