"""Figures of the questions beside the open one: leave to decline, lists that may lack the right name, yes or no."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from finer_tasks.datasets.record import LEVELS, parent_level
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.summary import naming_tasks, unanswered_counts
from finer_tasks.scoring.abstaining import balanced_refusals, is_missing, refusal_f1
from finer_tasks.scoring.aggregate import Item, clustered_standard_error, mean, mean_of_known, total
from finer_tasks.scoring.task_kinds import OPEN, YES_NO, TaskKind
from finer_tasks.scoring.yesno import d_prime


@dataclass(frozen=True)
class AbstainRow:
    """A task with leave to decline. `answered` and `declined` are shares; the others are of the answers alone."""

    dataset: str
    variant: str
    parent: str
    level: str
    documents: int
    answered: float
    declined: float
    em_answered: float
    em_strict_answered: float


@dataclass(frozen=True)
class OpenRow:
    """A task that offers names; see scoring.abstaining.open_items. `missing`: documents whose right name was not offered."""

    dataset: str
    level: str
    documents: int
    missing: int
    right: float
    right_error: float
    named: float
    unlisted: float
    true_refusal: float
    false_refusal: float
    balanced: float
    f1: float
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int


@dataclass(frozen=True)
class YesNoRow:
    """A task that asks for yes or no; see scoring.yesno.yesno_items.

    `neither`: replies that say neither. `farther`: documents whose wrong name is no sibling's but one from farther off.
    """

    dataset: str
    level: str
    documents: int
    both: float
    both_error: float
    accuracy: float
    true: float
    false: float
    d_prime: float
    yes: float
    neither: int
    farther: int
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int


def abstain_rows(run: Run) -> list[AbstainRow]:
    """One row a task that may be declined."""
    return [_abstain_row(task) for task in naming_tasks(run) if "declined" in task.samples[0].items]


def _abstain_row(task: TaskRun) -> AbstainRow:
    identity = task.identity
    return AbstainRow(
        dataset=identity["dataset"],
        variant=identity["variant"],
        parent=identity["parent"],
        level=identity["level"],
        documents=len(task.samples),
        answered=mean(_items(task, "answered")),
        declined=mean(_items(task, "declined")),
        em_answered=mean_of_known(_items(task, "em_answered")),
        em_strict_answered=mean_of_known(_items(task, "em_strict_answered")),
    )


def open_rows(run: Run) -> list[OpenRow]:
    """One row a task that offers names of which the right one may be missing."""
    return [_open_row(task) for task in _tasks(run, OPEN)]


def _open_row(task: TaskRun) -> OpenRow:
    level = task.identity["level"]
    right = _items(task, "open_right")
    return OpenRow(
        dataset=task.identity["dataset"],
        level=level,
        documents=len(task.samples),
        missing=sum(is_missing(s.record, level, s.items["open_right"]["offered"]) for s in task.samples),
        right=mean(right),
        right_error=clustered_standard_error(right),
        named=mean_of_known(_items(task, "open_named")),
        unlisted=mean_of_known(_items(task, "open_unlisted")),
        true_refusal=mean_of_known(_items(task, "true_refusal")),
        false_refusal=mean_of_known(_items(task, "false_refusal")),
        balanced=balanced_refusals(_items(task, "refusal_balanced")),
        f1=refusal_f1(_items(task, "refusal_f1")),
        **unanswered_counts(task),
    )


def yesno_rows(run: Run) -> list[YesNoRow]:
    """One row a task that asks for yes or no."""
    return [_yesno_row(task) for task in _tasks(run, YES_NO)]


def _yesno_row(task: TaskRun) -> YesNoRow:
    level = task.identity["level"]
    both = _items(task, "yesno_both")
    shared = Counter(item["shares"] for item in both)
    return YesNoRow(
        dataset=task.identity["dataset"],
        level=level,
        documents=len(task.samples),
        both=mean(both),
        both_error=clustered_standard_error(both),
        accuracy=mean(_items(task, "yesno_accuracy")),
        true=mean(_items(task, "yesno_true")),
        false=mean(_items(task, "yesno_false")),
        d_prime=d_prime(_items(task, "yesno_dprime")),
        yes=mean_of_known(_items(task, "yesno_yes")),
        neither=int(total(_items(task, "yesno_neither"))),
        farther=len(both) - shared[parent_level(level)],
        **unanswered_counts(task),
    )


def _tasks(run: Run, kind: TaskKind) -> list[TaskRun]:
    """The tasks of a kind by dataset and level."""
    found = [task for task in run.tasks if task.samples and task.kind is kind]
    return sorted(found, key=lambda task: (task.identity["dataset"], LEVELS.index(task.identity["level"]), task.name))


def _items(task: TaskRun, figure: str) -> list[Item]:
    return [sample.items[figure] for sample in task.samples]
