"""lmms-eval's entry point: makes our tasks and models known to it, and binds tasks to prepared data.

lmms-eval reads the entry-point group `lmms_eval.models` before it looks for tasks; the callable
there returns our models and also wraps two methods of its TaskManager:

* initialize_tasks, so that task_yamls/ is searched beside lmms-eval's own folder;
* _get_config, so that a task of ours gets the path of its prepared data, and in its metadata the
  fingerprint of the data and of the prompts. The metadata go into every result, and into the key
  under which `--use_cache` stores answers, so that changed data or prompts never meet old answers.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib import metadata, resources
from typing import Any

from loguru import logger

import finer_tasks
from finer_tasks.errors import user_errors

TESTED_LMMS_EVAL = ("0.7.3",)
TASK_PREFIX = "finer_"
# Backends that take rounds themselves, in batches.
DRIVES_ROUNDS = {"finer_hf"}


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
            with user_errors():
                return bind(config, getattr(self, "model_name", None))
        return config

    TaskManager.initialize_tasks, TaskManager._get_config = initialize_tasks, bound_config
    TaskManager._finer_extended = True


def task_folder() -> str:
    """Where the task YAMLs lie, in a wheel as in a checkout."""
    return str(resources.files("finer_tasks.task_yamls"))


def bind(config: dict[str, Any], model: Any) -> dict[str, Any]:
    """A task's config with its prepared data and what identifies the run.

    In the YAML `dataset_path` is the name of the dataset. Raises NotPreparedError, ChangedDataError
    or PromptError, at once and with the command that mends it.
    """
    from finer_tasks.datasets.prepare import ensure_mini
    from finer_tasks.datasets.prepared import load_prepared
    from finer_tasks.prompts import active_prompt_set

    dataset = config["dataset_path"]
    prepared = ensure_mini() if dataset == "mini" else load_prepared(dataset)
    prepared.check(config["test_split"])
    prompts = active_prompt_set()
    kwargs = config["lmms_eval_specific_kwargs"]
    identity = {
        "dataset": dataset,
        "level": kwargs["level"],
        "variant": kwargs.get("variant", "direct"),
        "parent": kwargs["parent"],
        "prompt_set": prompts.name,
        "prompt_hash": prompts.hash,
        "data_fingerprint": prepared.manifest.fingerprint,
        "data_partial": prepared.manifest.partial,
        "data_source": prepared.manifest.source,
        "finer_version": finer_tasks.__version__,
        "versions": _versions(),
    }
    if kwargs.get("attributes"):
        identity["attributes_fingerprint"] = _complete_knowledge(dataset, prepared)
    bound = dict(config) | {"dataset_path": str(prepared.data), "dataset_kwargs": {"load_from_disk": True}}
    if "similarity" in kwargs:
        identity["similarity"] = similarity_setting(kwargs)
        bound["process_results"] = functools.partial(config["process_results"], similarity=identity["similarity"])
    if config.get("output_type") == "generate_until_multi_round":
        identity["rounds"] = choose_rounds(model)
        if identity["rounds"] == "agentic":
            bound["output_type"] = "generate_until_agentic"
    bound["metadata"] = {**config["metadata"], "finer": identity}
    return bound


def choose_rounds(model: Any) -> str:
    """How a model takes several rounds.

    multi_round: it does so itself, in batches. driver: finer_tasks.rounds.drive runs true chat turns
    on its generate_until. agentic: lmms-eval's loop, one document at a time, each round a fresh turn.
    """
    if model in DRIVES_ROUNDS if isinstance(model, str) else type(model).__name__ == "FinerHF":
        return "multi_round"
    backend = _chat_backend(model)
    if backend is None:
        return "agentic"
    from finer_tasks.rounds import drive

    backend.generate_until_multi_round = drive
    return "driver"


def _chat_backend(model: Any) -> Any:
    """The class of a chat model, None if it is none or unknown."""
    if not isinstance(model, str):
        return type(model) if getattr(model, "is_simple", True) is False else None
    if "--force_simple" in sys.argv:
        return None
    from lmms_eval.models import get_model

    try:
        found = get_model(model)
    except Exception:  # an unknown or unloadable model is lmms-eval's to report
        return None
    return None if getattr(found, "is_simple", True) else found


def _complete_knowledge(dataset: str, prepared: Any) -> str:
    """Fingerprint of the attributes; raises KnowledgeError if a concept of the test split has none."""
    from datasets import load_from_disk

    from finer_tasks.attributes.knowledge import load_knowledge
    from finer_tasks.errors import KnowledgeError

    knowledge = load_knowledge(dataset)
    wanted = set(load_from_disk(str(prepared.data))["test"].unique("concept_id"))
    missing = sorted(wanted - set(knowledge.concepts))
    if missing:
        raise KnowledgeError(
            f"the attributes of {dataset} lack {len(missing)} of {len(wanted)} concepts of the test split, for example "
            f"{', '.join(missing[:3])}. See `finer attributes check {dataset}`"
        )
    return knowledge.fingerprint


def similarity_setting(kwargs: dict[str, Any]) -> str:
    """The similarity that scores attributes: FINER_SIMILARITY, else the one in the YAML; loaded once to see that it can be."""
    from finer_tasks.metrics.attributes import similarity_named

    name = os.environ.get("FINER_SIMILARITY") or str(kwargs["similarity"])
    similarity_named(name)
    return name


@functools.lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("lmms_eval", "torch", "transformers", "datasets", "pillow")}


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
