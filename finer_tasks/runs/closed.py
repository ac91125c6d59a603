"""Figures of closed sets of a run: each by itself, and what answering only where the model is sure would give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finer_tasks.datasets.record import LEVELS
from finer_tasks.runs.paths import common_documents, triples
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.runs.summary import unanswered_counts
from finer_tasks.scoring.aggregate import clustered_standard_error, mean, mean_of_known
from finer_tasks.scoring.closed import FIGURES, KINDS, calibration_error, right_concepts
from finer_tasks.scoring.selective import (
    RiskCoverage,
    area_under,
    aurc,
    back_off,
    back_off_curve,
    coverage_at,
    excess_aurc,
    risk_coverage,
)
from finer_tasks.statistics.clusters import Floats

# The share of wrong answers up to which coverage is told.
RISK = 0.05
BACK_OFF = "back-off"


@dataclass(frozen=True)
class ClosedRow:
    """The figures of one closed set by one score, and the concepts chosen instead of the right one, most frequent first."""

    dataset: str
    level: str
    parent: str
    documents: int
    kind: str
    top1: float
    top1_error: float
    top5: float
    rank: float
    ece: float
    confusions: tuple[tuple[str, str, int], ...]
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int


def closed_rows(run: Run) -> list[ClosedRow]:
    """One row a closed set and score that its backend gave."""
    return [_closed_row(task, kind) for task in run.tasks if task.scores_names for kind in task.kinds]


def _closed_row(task: TaskRun, kind: str) -> ClosedRow:
    names = {figure: f"closed_{figure}_{kind}" for figure in FIGURES}
    items = {figure: [sample.items[name] for sample in task.samples] for figure, name in names.items()}
    wrong = Counter(pair for sample in task.samples if (pair := _confused(sample, task.identity["level"], kind)))
    return ClosedRow(
        dataset=task.identity["dataset"],
        level=task.identity["level"],
        parent=task.identity["parent"],
        documents=len(task.samples),
        kind=kind,
        top1=mean(items["top1"]),
        top1_error=clustered_standard_error(items["top1"]),
        top5=mean(items["top5"]),
        rank=mean_of_known(items["rank"]),
        ece=calibration_error(items["ece"]),
        confusions=tuple((right, chosen, count) for (right, chosen), count in wrong.most_common()),
        **unanswered_counts(task),
    )


def _confused(sample: Sample, level: str, kind: str) -> tuple[str, str] | None:
    """The right concept and the one taken for it; the other of a tie may stand behind the right one."""
    choice, right = sample.items[f"closed_top1_{kind}"], right_concepts(sample.record, level)
    if choice["score"] or "top" not in choice:
        return None
    return next(((right[0], concept) for concept, *_ in choice["top"] if concept not in right), None)


@dataclass(frozen=True)
class SelectiveRow:
    """What answering only where the model is sure gives, by one score.

    Attributes:
        level: that of the closed set, or back-off: the finest of all three that is sure enough.
        documents: those of the task, or those that all three tasks have.
        area: under risk against coverage; of one level the AURC. excess: above the best order; nan for back-off.
        coverage: the largest with a risk of at most RISK. answered: at that coverage, the documents answered at each level.
    """

    dataset: str
    parent: str
    kind: str
    level: str
    documents: int
    area: float
    excess: float
    coverage: float
    answered: Mapping[str, int]


def selective_rows(run: Run) -> list[SelectiveRow]:
    """One row a closed set and score, and one for back-off where a dataset has all three levels."""
    return [_selective_row(tasks, kind) for tasks, kind in _units(run)]


def risk_curves(run: Run) -> dict[str, dict[str, RiskCoverage]]:
    """By dataset and score, the curves of each level and of back-off."""
    found: dict[str, dict[str, RiskCoverage]] = {}
    for tasks, kind in _units(run):
        dataset, parent = tasks[-1].identity["dataset"], tasks[-1].identity["parent"]
        told = "" if parent in ("gold", "none") else f", parent {parent}"
        found.setdefault(f"{dataset}-{kind}", {})[_level(tasks) + told] = _curve(tasks, kind)
    return found


def _units(run: Run) -> list[tuple[Sequence[TaskRun], str]]:
    """By dataset and score: each closed set by itself, the superordinate first, and all three levels that belong together."""
    closed = [task for task in run.tasks if task.scores_names]
    alone = sorted(([task] for task in closed), key=lambda tasks: LEVELS.index(tasks[0].identity["level"]))
    units: list[Sequence[TaskRun]] = [*alone, *(tasks for tasks in triples(closed) if common_documents(tasks))]
    found = [(tasks, kind) for tasks in units for kind in KINDS if all(kind in task.kinds for task in tasks)]
    return sorted(found, key=lambda unit: (unit[0][0].identity["dataset"], KINDS.index(unit[1])))


def _level(tasks: Sequence[TaskRun]) -> str:
    return str(tasks[0].identity["level"]) if len(tasks) == 1 else BACK_OFF


def _selective_row(tasks: Sequence[TaskRun], kind: str) -> SelectiveRow:
    confidence, right = _confidences(tasks, kind)
    curve, alone = _curve(tasks, kind), len(tasks) == 1
    coverage = coverage_at(curve, RISK)
    answered = Counter[str]()
    if coverage:
        threshold = curve.threshold[np.flatnonzero(curve.coverage == coverage)[-1]]
        levels = [task.identity["level"] for task in tasks]
        answered.update(levels[level - 1] for level in back_off(confidence, threshold) if level)
    identity = tasks[-1].identity
    return SelectiveRow(
        dataset=identity["dataset"],
        parent=identity["parent"],
        kind=kind,
        level=_level(tasks),
        documents=len(confidence),
        area=aurc(confidence[:, 0], right[:, 0]) if alone else area_under(curve),
        excess=excess_aurc(confidence[:, 0], right[:, 0]) if alone else math.nan,
        coverage=coverage,
        answered={level: answered[level] for level in LEVELS if answered[level]},
    )


def _curve(tasks: Sequence[TaskRun], kind: str) -> RiskCoverage:
    confidence, right = _confidences(tasks, kind)
    return risk_coverage(confidence[:, 0], right[:, 0]) if len(tasks) == 1 else back_off_curve(confidence, right)


def _confidences(tasks: Sequence[TaskRun], kind: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Confidence and whether the choice is right, both of shape (documents, tasks); of the documents that all tasks have."""
    by_id = [{sample.record["id"]: sample.items for sample in task.samples} for task in tasks]
    items = [[one[number] for one in by_id] for number in common_documents(tasks)]
    confidence = [[one[f"closed_ece_{kind}"].get("confidence", -math.inf) for one in row] for row in items]
    right = [[one[f"closed_top1_{kind}"]["score"] == 1.0 for one in row] for row in items]
    return np.array(confidence, dtype=np.float64), np.array(right)
