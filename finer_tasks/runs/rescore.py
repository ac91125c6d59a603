"""Scoring a run's logged answers again, without model or images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import finer_tasks
from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.taxonomy import taxonomy_hash
from finer_tasks.errors import ResultsError
from finer_tasks.models.similarity import similarity_named
from finer_tasks.runs.offered import is_protocol, offered_to
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.scoring.abstaining import abstaining_items, open_items
from finer_tasks.scoring.echo import told_parent
from finer_tasks.scoring.judge import list_items, naming_items, seek_items
from finer_tasks.scoring.multiple_choice import choice_items
from finer_tasks.scoring.task_kinds import OPEN, YES_NO, kind_of
from finer_tasks.scoring.yesno import Claims, yesno_items


def rescore(run: Run, similarity: str = "") -> Run:
    """The run with every answer judged by this version's scorers and name tables; its identity says so.

    Attribute lists are judged by the similarity of that name, by that of the run if none is given.
    """
    return replace(run, tasks=tuple(_task(task, similarity) for task in run.tasks))


def by_this_version(run: Run) -> Run:
    """The run with its scores by this version of the rules; raises ResultsError if they are of a newer one."""
    scorings = {str(task.identity["scoring"]) for task in run.tasks}
    newer = sorted(scorings - {str(version) for version in range(1, int(SCORING_VERSION) + 1)})
    if newer:
        raise ResultsError(f"{run.path} was scored by version {newer[0]:.20}, this is {SCORING_VERSION}: update finer-tasks")
    return run if scorings == {SCORING_VERSION} else rescore(run)


def _task(task: TaskRun, similarity: str) -> TaskRun:
    identity = {**task.identity, "scoring": SCORING_VERSION, "finer_version": finer_tasks.__version__}
    identity["scored_first"] = task.identity["scoring"]
    if "taxonomy" in identity:
        identity["taxonomy"] = taxonomy_hash(identity["dataset"])
    if "similarity" in identity:
        identity["similarity"] = similarity or identity["similarity"]
        identity["attributes_fingerprint"] = load_knowledge(identity["dataset"]).fingerprint
    samples = tuple(replace(sample, items=_items(sample, identity)) for sample in task.samples)
    return replace(task, identity=identity, samples=samples)


def _items(sample: Sample, identity: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    readable = not sample.items.get("corrupt_images", {}).get("value")
    variant, level = identity["variant"], identity["level"]
    if not kind_of(sample.items).replies:
        return dict(sample.items)  # likelihoods stand as they are: there is no answer to read again
    if "similarity" in identity:
        return list_items(sample.record, sample.outputs, similarity_named(identity["similarity"]), readable)
    parent = told_parent(variant, identity["parent"])
    if variant == "abstain_names":
        offered = sample.items.get(OPEN.detail, {}).get("offered", ())
        return open_items(sample.record, sample.outputs, level, readable, offered)
    if variant == "yesno":
        detail = sample.items.get(YES_NO.detail)
        claims = Claims(detail["claims"][0], detail["claims"][1], detail["shares"]) if detail else None
        return yesno_items(sample.record, sample.outputs, level, readable, claims)
    if variant == "mc":
        return choice_items(sample.record, sample.outputs, level, offered_to(sample, identity), readable, is_protocol(identity))
    if variant == "abstain":
        return abstaining_items(sample.record, sample.outputs, level, readable, parent)
    items = naming_items(sample.record, sample.outputs, level, readable, parent)
    return items | (seek_items(sample.record, sample.outputs, level) if variant == "attrseek" else {})
