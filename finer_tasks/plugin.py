"""lmms-eval's entry point: makes our tasks and models known to it, and binds tasks to prepared data.

lmms-eval reads the entry-point group `lmms_eval.models` before it looks for tasks; the callable
there returns our models and also wraps two methods of its TaskManager:

* initialize_tasks, so that task_yamls/ is searched beside lmms-eval's own folder;
* _get_config, so that a task of ours is bound to its prepared data (finer_tasks/binding.py).
"""

from __future__ import annotations

import functools
from importlib import metadata, resources
from typing import Any

from loguru import logger

import finer_tasks
from finer_tasks.errors import user_errors

TESTED_LMMS_EVAL = ("0.7.3",)
TASK_PREFIX = "finer_"


def register() -> list[Any]:
    """Entry point: extend lmms-eval's TaskManager once and return the manifests of our models."""
    from lmms_eval.models.registry_v2 import ModelManifest

    _warn_if_untested()
    extend_task_manager()
    return [
        ModelManifest(
            model_id="finer_hf",
            simple_class_path="finer_tasks.models.finer_hf.FinerHFSimple",
            chat_class_path="finer_tasks.models.finer_hf.FinerHF",
        )
    ]


def extend_task_manager() -> None:
    """Wrap the two methods of TaskManager, once; explain where lmms-eval has changed under us."""
    from lmms_eval.tasks import TaskManager

    if getattr(TaskManager, "_finer_extended", False):
        return
    if not (hasattr(TaskManager, "initialize_tasks") and hasattr(TaskManager, "_get_config")):
        logger.error(
            f"finer-tasks {finer_tasks.__version__} cannot add its tasks to this lmms-eval: TaskManager has changed. "
            f"Install lmms-eval {' or '.join(TESTED_LMMS_EVAL)}"
        )
        return
    initialize, get_config = TaskManager.initialize_tasks, TaskManager._get_config

    @functools.wraps(initialize)
    def initialize_tasks(self: Any, include_path: Any = None, *args: Any, **kwargs: Any) -> Any:
        paths = [include_path] if isinstance(include_path, str) else list(include_path or [])
        return initialize(self, [*paths, task_folder()], *args, **kwargs)

    @functools.wraps(get_config)
    def bound_config(self: Any, name: str) -> Any:
        config = get_config(self, name)
        if name.startswith(TASK_PREFIX) and isinstance(config.get("task"), str):
            from finer_tasks.binding import bind

            with user_errors():
                return bind(config, getattr(self, "model_name", None))
        return config

    TaskManager.initialize_tasks, TaskManager._get_config = initialize_tasks, bound_config
    TaskManager._finer_extended = True


def task_folder() -> str:
    """Where the task YAMLs lie, in a wheel as in a checkout."""
    return str(resources.files("finer_tasks.task_yamls"))


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
