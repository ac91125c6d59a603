"""What the evaluations of a reproduction hold: exact match by model, measure, seed and concept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.datasets.record import concept_key, dataset_of
from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import TaskRun, read_run
from finer_tasks.runs.samples import Sample
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.partition import Group
from finer_tasks.training.reproduce.plan import Plan

BASE = "base"
HELD_IN, HELD_OUT = "held-in", "held-out"


@dataclass(frozen=True)
class Asked:
    """What is asked, such as the fine level or an arm of it: the ending of its tasks' names, and a name for tables."""

    ending: str
    name: str


def asked_by(plan: Plan) -> list[Asked]:
    """The measures of a plan: its levels by the direct question, then its arms."""
    known = {
        "attrseek": "AttrSeek", "attrseek1": "AttrSeek in one turn", "cot": "step by step", "text": "from text",
        "both": "from text and image", "parent_only": "from the parent alone",
    }  # fmt: skip
    levels = [Asked(level, level) for level in plan.levels]
    return levels + [Asked(f"fine_{arm}", f"fine, {known[arm]}") for arm in plan.arms]


@dataclass(frozen=True)
class Scores:
    """Concept means of exact match; every table has shape (seeds, concepts), nan where a model was not asked.

    concepts: their keys. held_out: by group, which concepts it holds out, shape (groups, concepts).
    tables: by model (base, or a style of mixture), ending of the task and group; the base model has the group "".
    documents: how many each concept has. made_by: versions of packages, and the machine, of the evaluations; each value once.
    """

    plan: Plan
    groups: tuple[Group, ...]
    concepts: tuple[str, ...]
    documents: Floats
    tables: dict[tuple[str, str, str], Floats]
    made_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Which concepts each group holds out, shape (groups, concepts)."""
        return np.array([np.isin(self.concepts, group.concepts) for group in self.groups])

    def base(self, ending: str) -> Floats:
        """Of the base model, shape (seeds, concepts)."""
        return self.tables[BASE, ending, ""]

    def tuned(self, style: str, ending: str, part: str) -> Floats:
        """Of the models tuned on a style, shape (seeds, concepts).

        Held-out: each concept by the model that did not see it; nan for one that no group holds out. Held-in: the mean over
        the models that saw it.
        """
        found = np.stack([self.tables[style, ending, group.name] for group in self.groups])
        wanted = self.held_out if part == HELD_OUT else ~self.held_out
        counts = wanted.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = np.where(wanted[:, None, :], found, 0).sum(0) / counts
        return means

    def known(self, part: str) -> np.ndarray:
        """Which concepts a part has a model for."""
        found: np.ndarray = np.any(self.held_out if part == HELD_OUT else ~self.held_out, axis=0)
        return found


def read_scores(plan: Plan, groups: tuple[Group, ...], layout: Layout) -> Scores:
    """Every evaluation of a reproduction; raises ResultsError where they are not of the same documents."""
    reader = _Reader(plan)
    tables: dict[tuple[str, str, str], list[Floats]] = {}
    for seed in plan.seeds:
        places = {(BASE, ""): layout.base_evaluation(plan.base_of(seed))}
        places |= {
            (style, group.name): layout.evaluation(seed, group.name, style) for group in groups for style in plan.mixtures
        }
        for (model, group), place in places.items():
            for ending, means in reader.read(place).items():
                tables.setdefault((model, ending, group), []).append(means)
    clusters = reader.clusters
    stacked = {key: np.stack(rows) for key, rows in tables.items()}
    return Scores(plan, groups, clusters.names, clusters.sizes.astype(np.float64), stacked, reader.made_by)


class _Reader:
    """Reads evaluations, and sees that all are of the same documents."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._documents: list[str] = []
        self.clusters = Clusters.of([])
        self._made_by: dict[str, dict[str, None]] = {}

    @property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """What the evaluations say of packages and machine, each value once."""
        return {name: tuple(values) for name, values in self._made_by.items()}

    def read(self, place: Path) -> dict[str, Floats]:
        """Concept means by the ending of the task's name."""
        tasks = {task.name: task for task in _read(place)}
        for name, value in (item for task in tasks.values() for item in _made_by(task.identity)):
            self._made_by.setdefault(name, {})[value] = None
        found = {}
        for ending in (asked.ending for asked in asked_by(self._plan)):
            samples = [sample for dataset in self._plan.datasets for sample in tasks[f"finer_{dataset}_{ending}"].samples]
            self._check(place, [str(sample.record["id"]) for sample in samples], samples)
            found[ending] = self.clusters.means(np.array([sample.score("em") for sample in samples]))
        return found

    def _check(self, place: Path, ids: list[str], samples: Sequence[Sample]) -> None:
        if not self._documents:
            self._documents = ids
            records = [sample.record for sample in samples]
            keys = [concept_key(dataset_of(str(record["id"])), str(record["concept_id"])) for record in records]
            self.clusters = Clusters.of(keys)
        if ids != self._documents:
            raise ResultsError(f"{place}: its documents are not those of the other evaluations. Delete it and run again")


def _read(place: Path) -> tuple[TaskRun, ...]:
    try:
        return read_run(place).tasks
    except ResultsError as error:
        raise ResultsError(f"{error}\nIt is a piece of an experiment: delete {place} and repeat the command") from error


def _made_by(identity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("versions", "machine"):
        yield from ((str(name), str(value)) for name, value in (identity.get(part) or {}).items())
