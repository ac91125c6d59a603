"""Scores by detail of the attributes and category of object, on the same documents (Kim & Ji 2024, open question 2).

The detail may differ in the prompts (which attributes a model is asked for), in the attributes that it is told, or in the
mixture that it was tuned on. Differences are to the first run given, so that runs in the order of their detail show what
each step adds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.errors import ResultsError
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.runs.comparing import Conditions, Side, decoding, of_identity, require_alike_but, require_same_documents
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.statistics.bootstrap import CONFIDENCE, Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters
from finer_tasks.statistics.paired import interval

METRICS = ("em", "em_strict")
ALL = "all"
# Where runs of another detail may differ; they must in one of these.
DETAIL: Conditions = {
    "model": lambda side: side[0].model,
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "attributes": of_identity("attributes_fingerprint"),
}
# What must agree, by the name under which it may be allowed to differ.
CONDITIONS: Conditions = {
    "data": of_identity("data_fingerprint", "data_source"),
    "scoring": of_identity("scoring", "taxonomy"),
    "rounds": of_identity("rounds"),
    "decoding": decoding,
}


class Labelled(NamedTuple):
    """A run, and what the user calls its detail."""

    label: str
    run: Run


@dataclass(frozen=True)
class Cell:
    """The score of one detail in a category, and its difference to the first detail on the same documents.

    The interval of the difference takes account of few concepts, and is as wide as differences can be for one alone.
    """

    detail: str
    score: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Category:
    """All documents, those of a superordinate, or those of a coarse label; `kind` says which."""

    kind: str
    name: str
    documents: int
    concepts: int
    cells: Mapping[str, tuple[Cell, ...]]


@dataclass(frozen=True)
class DetailTable:
    """One task at every detail. `differing`: what differs between the runs. `cells` of categories are by metric."""

    task: str
    dataset: str
    level: str
    way: str
    details: tuple[str, ...]
    differing: tuple[str, ...]
    categories: tuple[Category, ...]
    notes: tuple[str, ...]


def compare_details(runs: Sequence[Labelled], allow: Collection[str] = (), seed: int = 0) -> list[DetailTable]:
    """One table for each task that all runs have; raises ResultsError where they are not comparable, or nothing differs.

    `allow` names conditions that may differ, or request_failed; a note says so.
    """
    check_allowed(allow, (*CONDITIONS, FAILED))
    labels = [label for label, _ in runs]
    if len(runs) < 2 or len(set(labels)) < len(labels):
        raise ResultsError("give two runs or more, each with a name of its own: basic=RUN detailed=RUN")
    naming = [{task.name: task for task in run.tasks if task.names_concepts} for _, run in runs]
    common = sorted(set.intersection(*(set(tasks) for tasks in naming)))
    if not common:
        raise ResultsError(
            f"the runs have no task in common that asks for names; {labels[0]} has {', '.join(naming[0]) or 'none'}"
        )
    left_out = sorted(set().union(*naming) - set(common))
    sides = [[(run, tasks[name]) for (_, run), tasks in zip(runs, naming, strict=True)] for name in common]
    found = [_table(labels, each, allow, seed) for each in sides]
    if left_out:
        found[-1] = replace(found[-1], notes=(*found[-1].notes, f"not in all runs, and left out: {', '.join(left_out)}"))
    return found


def _table(labels: Sequence[str], sides: Sequence[Side], allow: Collection[str], seed: int) -> DetailTable:
    tasks = [task for _, task in sides]
    require_answered(tasks, allow, [FAILED])
    allowed: set[str] = set()
    for side in sides[1:]:
        allowed |= require_alike_but(side, sides[0], CONDITIONS, allow)
        require_same_documents(side[1], sides[0][1])
    first = tasks[0]
    differing = [name for name, read in DETAIL.items() if len({str(read(side)) for side in sides}) > 1]
    if not differing:
        raise ResultsError(
            f"{first.name}: nothing of {', '.join(DETAIL)} differs between {' and '.join(labels)}; give runs of another detail"
        )
    by_id = [{sample.record["id"]: sample for sample in task.samples} for task in tasks]
    samples = [tuple(found[sample.record["id"]] for found in by_id) for sample in first.samples]
    identity = first.identity
    return DetailTable(
        task=first.name,
        dataset=identity["dataset"],
        level=identity["level"],
        way=identity["variant"],
        details=tuple(labels),
        differing=tuple(differing),
        categories=tuple(_category(kind, name, labels, rows, seed) for kind, name, rows in _categories(samples)),
        notes=tuple(_notes(tasks, labels, differing, sorted(allowed))),
    )


# What a first turn of AttrSeek may be instead of attributes, by the item that counts it.
_ASTRAY = {"seek_empty": "said nothing", "seek_endless": "did not come to an end", "seek_named": "named the concept"}
# The same document at every detail.
_Row = tuple[Sample, ...]


def _categories(rows: Sequence[_Row]) -> list[tuple[str, str, list[_Row]]]:
    """All, then the superordinates, then the coarse labels; one category that is all of them is not told again."""
    found = [(ALL, ALL, list(rows))]
    for kind in LEVELS[:2]:
        groups: dict[str, list[_Row]] = {}
        for row in rows:
            label = row[0].record[kind]
            groups.setdefault(label if isinstance(label, str) else label[0], []).append(row)
        if len(groups) > 1:
            found += [(kind, name, groups[name]) for name in sorted(groups)]
    return found


def _category(kind: str, name: str, labels: Sequence[str], rows: Sequence[_Row], seed: int) -> Category:
    clusters = Clusters.of([str(row[0].record["concept_id"]) for row in rows])
    resample = Bootstrap(clusters, seed)
    cells = {}
    for metric in METRICS:
        scores = np.array([[sample.score(metric) for sample in row] for row in rows]).T
        cells[metric] = tuple(
            Cell(label, resample.mean(values), _difference(values - scores[0], clusters, seed) if number else None)
            for number, (label, values) in enumerate(zip(labels, scores, strict=True))
        )
    return Category(kind, name, len(rows), len(clusters), cells)


def _difference(values: np.ndarray, clusters: Clusters, seed: int) -> Estimate:
    return Estimate(float(values.mean()), *interval(values, clusters, (1 - CONFIDENCE) / 2, seed))


def _notes(tasks: Sequence[TaskRun], labels: Sequence[str], differing: Sequence[str], allowed: Sequence[str]) -> list[str]:
    notes = [f"compared although {', '.join(allowed)} differ between the runs"] if allowed else []
    if len(differing) > 1:
        notes.append(f"{' and '.join(differing)} differ at once: which of them makes a difference cannot be told")
    for label, task in zip(labels, tasks, strict=True):
        if failed := task.unanswered.get(FAILED, 0):
            notes.append(f"{label}: {failed} requests were not answered and count as wrong")
        for item, what in _ASTRAY.items():
            if count := sum(float(sample.items.get(item, {}).get("value", 0)) for sample in task.samples):
                notes.append(f"{label}: asked for attributes, the model {what} in {count:.0f} of {len(task.samples)} documents")
    if part := next((task.part for task in tasks if task.part), ""):
        notes.append(f"on {part} only")
    return notes
