"""Binding a task's YAML to what it needs at run time: data, prompts, attributes, and a way to take rounds."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import finer_tasks
from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.errors import KnowledgeError, user_errors
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.tasks.questions import told_parent

# Backends that take rounds themselves, in batches.
DRIVES_ROUNDS = {"finer_hf"}


def bind(config: dict[str, Any], model: Any) -> dict[str, Any]:
    """A task's config with the path of its prepared data, and in its metadata what identifies the run.

    The metadata go into every result, and into the key under which `--use_cache` stores answers, so
    that changed data or prompts never meet old answers. In the YAML `dataset_path` is the name of the
    dataset. Raises as `identify`.
    """
    prepared, identity = identify(config)
    kwargs = config["lmms_eval_specific_kwargs"]
    bound = dict(config) | {"dataset_path": str(prepared.data), "dataset_kwargs": {"load_from_disk": True}}
    if "similarity" in kwargs:
        identity["similarity"] = similarity_setting(kwargs)
        settings = {"similarity": identity["similarity"]}
    else:
        settings = {"parent": told_parent(identity["variant"], identity["parent"])}
    bound["process_results"] = functools.partial(config["process_results"], **settings)
    if config.get("output_type") == "generate_until_multi_round":
        identity["rounds"] = choose_rounds(model)
        if identity["rounds"] == "agentic":
            bound["output_type"] = "generate_until_agentic"
    bound["metadata"] = {**config["metadata"], "finer": identity}
    return _guarded(bound)


def identify(config: Mapping[str, Any]) -> tuple[Prepared, dict[str, Any]]:
    """The prepared data of a task's config, and what identifies a run of it.

    Raises NotPreparedError, ChangedDataError, PromptError or KnowledgeError, at once and with the command that mends it.
    """
    dataset = config["dataset_path"]
    prepared = ensure_prepared(dataset)
    prepared.check(config["test_split"])
    kwargs = config["lmms_eval_specific_kwargs"]
    prompts = active_prompt_set()
    prompts.require(kwargs.get("variant", "direct"), kwargs["level"])
    identity = {
        "dataset": dataset,
        "level": kwargs["level"],
        "variant": kwargs.get("variant", "direct"),
        "parent": kwargs["parent"],
        "prompt_set": prompts.name,
        "prompt_hash": prompts.hash,
        "data_fingerprint": prepared.manifest.contents[config["test_split"]],
        "data_partial": prepared.manifest.partial,
        "data_source": prepared.manifest.source,
        "scoring": SCORING_VERSION,
        "finer_version": finer_tasks.__version__,
        "versions": _versions(),
    }
    if kwargs.get("attributes"):
        identity["attributes_fingerprint"] = _complete_knowledge(dataset, prepared)
    return prepared, identity


def _guarded(value: Any) -> Any:
    """A config whose functions, which lmms-eval calls, give one line and an exit code where they fail."""
    if isinstance(value, dict):
        return {key: _guarded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_guarded(item) for item in value]
    return user_errors()(value) if callable(value) else value


def choose_rounds(model: Any) -> str:
    """How a model takes several rounds.

    multi_round: it does so itself, in batches. driver: finer_tasks.tasks.rounds.drive runs true chat turns
    on its generate_until. agentic: lmms-eval's loop, one document at a time, each round a fresh turn.
    """
    if model in DRIVES_ROUNDS if isinstance(model, str) else type(model).__name__ == "FinerHF":
        return "multi_round"
    backend = _chat_backend(model)
    if backend is None:
        return "agentic"
    from finer_tasks.tasks.rounds import drive

    backend.generate_until_multi_round = user_errors()(drive)
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


def _complete_knowledge(dataset: str, prepared: Prepared) -> str:
    """Fingerprint of the attributes; raises KnowledgeError if a concept of the test split has none."""
    from datasets import load_from_disk

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
    from finer_tasks.scoring.attributes import similarity_named

    name = os.environ.get("FINER_SIMILARITY") or str(kwargs["similarity"])
    similarity_named(name)
    return name


@functools.lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("lmms_eval", "torch", "transformers", "datasets", "pillow")}
