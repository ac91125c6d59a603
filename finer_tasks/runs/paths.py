"""Path figures of a run: of the three levels of a dataset together, and of each answer. Definitions in scoring/paths.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.summary import naming_tasks
from finer_tasks.scoring import paths
from finer_tasks.scoring.closed import KINDS
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters

SEED = 0
SCORERS = ("em", "em_strict")
_FIGURES = {
    "hca": paths.hierarchical_consistent_accuracy,
    "por": paths.point_overlap_ratio,
    "s_por": paths.strict_point_overlap_ratio,
    "tor": paths.top_overlap_ratio,
}


@dataclass(frozen=True)
class PathRow:
    """A dataset asked for in one way at all three levels.

    Attributes:
        scorer: which score decides whether an answer is right: em or em_strict, or closed_top1_… of closed sets.
        documents: those that all three tasks have; left_out: the others.
        hca, por, s_por, tor: means with intervals over concepts; None without common documents.
    """

    dataset: str
    variant: str
    parent: str
    scorer: str
    documents: int
    left_out: int
    hca: Estimate | None = None
    por: Estimate | None = None
    s_por: Estimate | None = None
    tor: Estimate | None = None


@dataclass(frozen=True)
class AnswerRow:
    """How far down the taxonomy the answers of one task go, and how far they are right.

    Attributes:
        named: how many answers name something.
        precision, correctness, specificity: over those; None if there are none. specificity is in levels, 1 to 3.
        recall, f1: over all documents.
    """

    dataset: str
    variant: str
    parent: str
    level: str
    documents: int
    named: int
    precision: Estimate | None
    recall: Estimate
    f1: Estimate
    correctness: Estimate | None
    specificity: Estimate | None


def path_rows(run: Run) -> list[PathRow]:
    """A row by each score for each dataset, variant and parent that has all three levels."""
    return [row for tasks in triples([*naming_tasks(run), *_closed(run)]) for row in _path_rows(tasks)]


def triples(tasks: Sequence[TaskRun]) -> list[tuple[TaskRun, TaskRun, TaskRun]]:
    """The superordinate, coarse and fine task of each dataset, variant and parent that has all three.

    The superordinate question has no parent, so that one task stands at the head of every parent's path.
    """
    known, found = {_key(task): task for task in tasks}, []
    for (dataset, variant, level, parent), fine in known.items():
        above = known.get((dataset, variant, "superordinate", "none")), known.get((dataset, variant, "coarse", parent))
        if level == "fine" and above[0] and above[1]:
            found.append((above[0], above[1], fine))
    return found


def common_documents(tasks: Sequence[TaskRun]) -> list[str]:
    """The ids of the documents that all tasks have, in the order of the last one."""
    there = [{sample.record["id"] for sample in task.samples} for task in tasks]
    return [sample.record["id"] for sample in tasks[-1].samples if all(sample.record["id"] in one for one in there)]


def _closed(run: Run) -> list[TaskRun]:
    return [task for task in run.tasks if task.scores_names]


def _key(task: TaskRun) -> tuple[str, str, str, str]:
    identity = task.identity
    return identity["dataset"], identity["variant"], identity["level"], identity["parent"]


def _scorers(tasks: Sequence[TaskRun]) -> Sequence[str]:
    """The scores that say whether answers, or choices of closed sets, are right."""
    if tasks[0].names_concepts:
        return SCORERS
    return [f"closed_top1_{kind}" for kind in KINDS if all(kind in task.kinds for task in tasks)]


def _path_rows(tasks: Sequence[TaskRun]) -> list[PathRow]:
    by_id = [{sample.record["id"]: sample for sample in task.samples} for task in tasks]
    common = common_documents(tasks)
    dataset, variant, _, parent = _key(tasks[-1])
    left_out = len(set().union(*by_id)) - len(common)
    resample = (
        Bootstrap(Clusters.of([str(by_id[-1][number].record["concept_id"]) for number in common]), SEED) if common else None
    )
    rows = []
    for scorer in _scorers(tasks):
        figures = {}
        if resample:
            right = np.array([[samples[number].score(scorer) == 1.0 for samples in by_id] for number in common])
            figures = {name: resample.mean(figure(right)) for name, figure in _FIGURES.items()}
        rows.append(PathRow(dataset, variant, parent, scorer, len(common), left_out, **figures))
    return rows


def answer_rows(run: Run) -> list[AnswerRow]:
    """One row a task that asks for a name, but for logs that do not tell how specific an answer is."""
    resamples: dict[tuple[str, ...], Bootstrap] = {}  # tasks on the same documents share their draws
    rows = []
    for task in naming_tasks(run):
        if tells_specificity(task):
            concepts = tuple(str(sample.record["concept_id"]) for sample in task.samples)
            if concepts not in resamples:
                resamples[concepts] = Bootstrap(task.clusters, SEED)
            rows.append(_answer_row(task, resamples[concepts]))
    return rows


def tells_specificity(task: TaskRun) -> bool:
    """Whether the log tells how specific each answer is; logs of 0.3 and before do not, until they are scored again."""
    return all(sample.specificity is not None for sample in task.samples)


def _answer_row(task: TaskRun, resample: Bootstrap) -> AnswerRow:
    dataset, variant, level, parent = _key(task)
    asked = LEVELS.index(level) + 1
    depth = task.scores("depth").astype(np.int64)
    specificity = np.array([sample.specificity for sample in task.samples], dtype=np.int64)
    return AnswerRow(
        dataset, variant, parent, level, len(depth), int((specificity > 0).sum()),
        precision=resample.mean_of_known(paths.hierarchical_precision(depth, specificity)),
        recall=resample.mean(paths.hierarchical_recall(depth, asked)),
        f1=resample.mean(paths.hierarchical_f1(depth, specificity, asked)),
        correctness=resample.mean_of_known(paths.correctness(depth, specificity)),
        specificity=resample.mean_of_known(np.where(specificity > 0, specificity, np.nan)),
    )  # fmt: skip
