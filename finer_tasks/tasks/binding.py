"""Binding a task's YAML to what it needs at run time: data, prompts, attributes, and a way to take rounds."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import finer_tasks
from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.perturb import VARIABLE
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import LEVELS, SPLITS
from finer_tasks.datasets.registry import dataset_names, get_reader
from finer_tasks.datasets.seen import seen_data
from finer_tasks.errors import FinerError, KnowledgeError, user_errors
from finer_tasks.models.machine import machine
from finer_tasks.options.choosing import described
from finer_tasks.options.settings import VARIABLE as CHOICES
from finer_tasks.options.settings import Setting, active_setting
from finer_tasks.replies import ROUNDS
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.scoring.candidates import CANDIDATES
from finer_tasks.scoring.echo import told_parent
from finer_tasks.scoring.multiple_choice import OFFERED
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.prompts import prompt_set_for
from finer_tasks.tasks.questions import asked_by
from finer_tasks.tasks.table import HOOKS, OFFERS_OPTIONS, SCORES_NAMES

PARENTS = ("gold", "predicted", "none")
_FUNCTIONS = ("doc_to_visual", "doc_to_text", "doc_to_messages", "process_results")


class TaskError(FinerError):
    """A task made of our templates or functions does not say what they need."""


def is_ours(config: Mapping[str, Any]) -> bool:
    """Whether a task asks one of our datasets through our functions: our own tasks, and those that users make of our templates.

    One of any name that brings data or functions of its own is left as it is.
    """
    known = config.get("dataset_path") in dataset_names()
    return known and isinstance(config.get("task"), str) and any(_is_hook(config.get(name)) for name in _FUNCTIONS)


def _is_hook(function: Any) -> bool:
    return getattr(function, "__module__", "") == HOOKS


def bind(config: dict[str, Any], model: Any) -> dict[str, Any]:
    """A task's config with the path of its prepared data, and in its metadata what identifies the run.

    The metadata go into every result, and into the key under which `--use_cache` stores answers, so
    that changed data or prompts never meet old answers. In the YAML `dataset_path` is the name of the
    dataset. Raises as `identify`.
    """
    from finer_tasks.tasks.recording import extend_evaluate as record_what_answers

    prepared, identity = identify(config)
    record_what_answers()
    bound = dict(config) | {"dataset_path": str(prepared.data), "dataset_kwargs": {"load_from_disk": True}}
    if "similarity" in (kwargs := config["lmms_eval_specific_kwargs"]):
        identity["similarity"] = similarity_setting(kwargs)
        settings = {"similarity": identity["similarity"]}
    elif identity["variant"] in SCORES_NAMES:
        settings = {}
        bound |= _scoring_names(identity, model)
    elif identity["variant"] in OFFERS_OPTIONS:
        protocol = active_setting().protocol
        settings = {"literally": protocol is not None}
        if protocol:
            bound["generation_kwargs"] = {**(config.get("generation_kwargs") or {}), "max_new_tokens": protocol.tokens}
    else:
        settings = {"parent": told_parent(identity["variant"], identity["parent"])}
    scorer = config.get("process_results")
    if scorer and _is_hook(scorer):
        bound["process_results"] = functools.partial(scorer, **settings)
    else:
        identity["scorer"] = getattr(scorer, "__qualname__", "lmms-eval")
    if config.get("output_type") == "generate_until_multi_round":
        from finer_tasks.tasks.rounds import choose_rounds, comes_with_turns, extend_evaluate

        identity["rounds"] = choose_rounds(model)
        if identity["rounds"] == "agentic":
            bound["output_type"] = "generate_until_agentic"
        elif identity["rounds"] == "driver":
            extend_evaluate()
        elif comes_with_turns(model):
            bound["output_type"] = "generate_until"
            bound["generation_kwargs"] = {**(config.get("generation_kwargs") or {}), ROUNDS: True}
    bound["metadata"] = {**(config.get("metadata") or {}), "finer": identity}
    guarded: dict[str, Any] = _guarded(bound)
    return guarded


def _scoring_names(identity: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """What a task that scores names becomes for a model: one request for all of them where it takes that, else one for each.

    Raises TaskError for chat models of lmms-eval, which only generate.
    """
    from finer_tasks.tasks.rounds import takes_names

    if (takes := takes_names(model)) == "none":
        raise TaskError(
            f"{model if isinstance(model, str) else type(model).__name__} is a chat model of lmms-eval, which generates and "
            "gives no likelihoods, so that it cannot score names. Use --model finer_hf, or a model that has loglikelihood with "
            "--force_simple"
        )
    if takes == "each":
        return {}
    offered = identity["variant"] in OFFERS_OPTIONS
    wanted = {OFFERED: identity["level"]} if offered else {CANDIDATES: f"{identity['dataset']}/{identity['level']}"}
    return {"output_type": "generate_until", "generation_kwargs": wanted, "doc_to_choice": None}


def identify(config: Mapping[str, Any]) -> tuple[Prepared, dict[str, Any]]:
    """The prepared data of a task's config, and what identifies a run of it.

    Raises NotPreparedError, ChangedDataError, PromptError, KnowledgeError or, for tasks of users, TaskError: at once and with
    what mends it.
    """
    _require_settings(config)
    dataset = config["dataset_path"]
    prepared = ensure_prepared(dataset)
    prepared.check(config["test_split"])
    kwargs = config["lmms_eval_specific_kwargs"]
    variant = kwargs.get("variant", "direct")
    asked = asked_by(variant)
    prompts = prompt_set_for(asked, kwargs["level"])
    prompts.require(asked, kwargs["level"])
    identity = {
        "dataset": dataset,
        "level": kwargs["level"],
        "variant": variant,
        "parent": kwargs["parent"],
        "prompt_set": prompts.name,
        "prompt_hash": prompts.hash,
        **seen_data(prepared, config["test_split"]),
        "data_partial": prepared.manifest.partial,
        "data_official": prepared.manifest.is_official(config["test_split"]),
        "data_source": prepared.manifest.source,
        "scoring": SCORING_VERSION,
        "finer_version": finer_tasks.__version__,
        "versions": _versions(),
        "machine": machine(),
    }
    if get_reader(dataset).own:
        identity["taxonomy"] = prepared.manifest.taxonomy  # no version of this package stands for its names
    if "perturbation" in identity:
        _require_our_images(config)
    if variant in OFFERS_OPTIONS:
        identity["choices"] = described(_setting_for(config, variant), prepared, kwargs["level"])
    if kwargs.get("attributes"):
        identity["attributes_fingerprint"] = _complete_knowledge(dataset, prepared)
    return prepared, identity


def _setting_for(config: Mapping[str, Any], variant: str) -> Setting:
    """How the options of a task are chosen; raises TaskError for a protocol that knows no likelihoods."""
    setting = active_setting()
    if setting.protocol and variant in SCORES_NAMES:
        raise TaskError(
            f"task {config['task']} scores likelihoods, but {setting.name} ({CHOICES}) reads answers alone. Run the task that "
            f"ends in _mc, or set {CHOICES} to embedding:{setting.path}"
        )
    return setting


def _require_settings(config: Mapping[str, Any]) -> None:
    """Raise TaskError where a task lacks what our functions are told."""
    kwargs = config.get("lmms_eval_specific_kwargs") or {}
    told = {"test_split": config.get("test_split"), "level": kwargs.get("level"), "parent": kwargs.get("parent")}
    for (key, value), known in zip(told.items(), (SPLITS, LEVELS, PARENTS), strict=True):
        if value not in known:
            where = key if key == "test_split" else f"lmms_eval_specific_kwargs: {key}"
            raise TaskError(
                f"task {config['task']}: {where} is {value!r}, but the functions of finer-tasks need one of "
                f"{', '.join(known)}. Set it, or include a template of {task_folder() / '_templates'}"
            )


def _require_our_images(config: Mapping[str, Any]) -> None:
    """Raise TaskError where a function of the user's own shows the images: it would show them as published."""
    for name in ("doc_to_visual", "doc_to_messages"):
        if callable(function := config.get(name)) and not _is_hook(function):
            raise TaskError(
                f"task {config['task']}: {name} is a function of your own, which {VARIABLE} does not reach. "
                f"Unset {VARIABLE}, or name one of {HOOKS}"
            )


def _guarded(value: Any) -> Any:
    """A config whose functions, which lmms-eval calls, give one line and an exit code where they fail."""
    if isinstance(value, dict):
        return {key: _guarded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_guarded(item) for item in value]
    return user_errors()(value) if callable(value) else value


def _complete_knowledge(dataset: str, prepared: Prepared) -> str:
    """Fingerprint of the attributes; raises KnowledgeError if a concept of the test split has none."""
    knowledge = load_knowledge(dataset)
    wanted = set(prepared.tables()["test"].unique("concept_id"))
    missing = sorted(wanted - set(knowledge.concepts))
    if missing:
        raise KnowledgeError(
            f"the attributes of {dataset} lack {len(missing)} of {len(wanted)} concepts of the test split, for example "
            f"{', '.join(missing[:3])}. See `finer attributes check {dataset}`"
        )
    return knowledge.fingerprint


def similarity_setting(kwargs: dict[str, Any]) -> str:
    """The similarity that scores attributes: FINER_SIMILARITY, else the one in the YAML; loaded once to see that it can be."""
    from finer_tasks.models.similarity import similarity_named

    name = os.environ.get("FINER_SIMILARITY") or str(kwargs["similarity"])
    similarity_named(name)
    return name


@functools.lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("lmms_eval", "torch", "transformers", "datasets", "pillow")}
