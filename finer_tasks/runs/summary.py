"""Figures of a run by dataset, parent and level; pure functions of its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer_tasks.datasets.record import LEVELS
from finer_tasks.replies import COUNTED_AS
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.scoring.aggregate import clustered_standard_error, macro_mean, macro_standard_error, mean, mean_of_known, total
from finer_tasks.scoring.echo import is_echo, told_parent


@dataclass(frozen=True)
class Row:
    """The figures of one task. Standard errors: by document clustered by concept, and over concepts.

    echo is the share of documents whose question tells a label that counts as right; *_no_echo leave them out.
    """

    dataset: str
    variant: str
    parent: str
    level: str
    documents: int
    em: float
    em_error: float
    em_macro: float
    em_macro_error: float
    f1: float
    em_strict: float
    em_strict_error: float
    depth: float
    lca_distance: float
    named: float
    echo: float
    em_no_echo: float
    em_strict_no_echo: float
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int
    reasons: dict[str, int]
    partial: bool
    official: bool


@dataclass(frozen=True)
class Consistency:
    """Of the documents whose fine answer is right, the share whose coarse answer is right as well.

    consistency = |fine right and coarse right| / |fine right|, over documents that both tasks have;
    nan where no fine answer is right.
    """

    dataset: str
    variant: str
    parent: str
    documents: int
    fine_right: int
    em: float
    em_strict: float


def rows(run: Run) -> list[Row]:
    """One row a task, by dataset, variant, parent and level."""
    return [_row(task) for task in naming_tasks(run)]


def naming_tasks(run: Run) -> list[TaskRun]:
    """The tasks that ask for a name, by dataset, variant, parent and level."""

    def place(task: TaskRun) -> tuple[object, ...]:
        identity = task.identity
        # The superordinate question has no parent; it heads the rows of the default one.
        default = identity["parent"] == "gold" or identity["level"] == LEVELS[0]
        parent = "" if default else identity["parent"]
        return identity["dataset"], identity["variant"], not default, parent, LEVELS.index(identity["level"])

    return sorted((task for task in run.tasks if task.names_concepts), key=place)


def _row(task: TaskRun) -> Row:
    told = [_is_echo(sample, task) for sample in task.samples]
    untold = [sample.items for sample, echo in zip(task.samples, told, strict=True) if not echo]
    items = {name: [sample.items[name] for sample in task.samples] for name in task.samples[0].items}
    return Row(
        dataset=task.identity["dataset"],
        variant=task.identity["variant"],
        parent=task.identity["parent"],
        level=task.identity["level"],
        documents=len(task.samples),
        em=mean(items["em"]),
        em_error=clustered_standard_error(items["em"]),
        em_macro=macro_mean(items["em_macro"]),
        em_macro_error=macro_standard_error(items["em_macro"]),
        f1=mean(items["f1"]),
        em_strict=mean(items["em_strict"]),
        em_strict_error=clustered_standard_error(items["em_strict"]),
        depth=mean(items["depth"]),
        lca_distance=mean_of_known(items["lca_distance"]),
        named=mean(items["named"]),
        echo=sum(told) / len(told),
        em_no_echo=mean([items["em"] for items in untold]),
        em_strict_no_echo=mean([items["em_strict"] for items in untold]),
        **unanswered_counts(task),
        reasons=dict(Counter(sample.reason for sample in task.samples).most_common()),
        partial=bool(task.identity.get("data_partial")),
        official=bool(task.identity.get("data_official", True)),
    )


def _is_echo(sample: Sample, task: TaskRun) -> bool:
    if "echo" in sample.items:
        return bool(sample.items["echo"]["score"])
    identity = task.identity  # a run of scoring version 1
    return is_echo(sample.record, identity["level"], told_parent(identity["variant"], identity["parent"]))


def unanswered_counts(task: TaskRun) -> dict[str, int]:
    """How many documents have no answer of the model, by the figure that counts them."""
    return {name: task.unanswered.get(why, 0) for why, name in COUNTED_AS.items()}


def consistencies(run: Run) -> list[Consistency]:
    """Fine against coarse for each dataset, variant and parent that has both."""
    found = []
    naming = [task for task in run.tasks if task.names_concepts]
    fine_tasks = [task for task in naming if task.identity["level"] == "fine"]
    for fine in fine_tasks:
        key = ("dataset", "variant", "parent")
        coarse = next(
            (t for t in naming if t.identity["level"] == "coarse" and all(t.identity[k] == fine.identity[k] for k in key)),
            None,
        )
        if coarse is not None:
            found.append(_consistency(fine, coarse))
    return found


def _consistency(fine: TaskRun, coarse: TaskRun) -> Consistency:
    by_id = {sample.record["id"]: sample for sample in coarse.samples}
    pairs = [(sample, by_id[sample.record["id"]]) for sample in fine.samples if sample.record["id"] in by_id]
    return Consistency(
        dataset=fine.identity["dataset"],
        variant=fine.identity["variant"],
        parent=fine.identity["parent"],
        documents=len(pairs),
        fine_right=sum(_right(low, "em") for low, _ in pairs),
        em=_share(_right(high, "em") for low, high in pairs if _right(low, "em")),
        em_strict=_share(_right(high, "em_strict") for low, high in pairs if _right(low, "em_strict")),
    )


@dataclass(frozen=True)
class AttributeRow:
    """Means of the attribute scores of one task, and the counts of replies that are no list."""

    dataset: str
    variant: str
    documents: int
    similarity: str
    scores: dict[str, float]
    unparsed: int
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int


def attribute_rows(run: Run) -> list[AttributeRow]:
    """One row a task that generates attribute lists."""
    found = []
    for task in run.tasks:
        if not task.lists_attributes:
            continue
        items = {name: [sample.items[name] for sample in task.samples] for name in task.samples[0].items}
        scores = {name: mean(values) for name, values in items.items() if "score" in values[0]}
        unparsed = int(total(items["attr_unparsed"]))
        found.append(
            AttributeRow(
                dataset=task.identity["dataset"],
                variant=task.identity["variant"],
                documents=len(task.samples),
                similarity=task.identity["similarity"],
                scores=scores,
                unparsed=unparsed,
                **unanswered_counts(task),
            )
        )
    return found


@dataclass(frozen=True)
class SeekRow:
    """First turns of AttrSeek that were empty, did not end, or named the concept already."""

    task: str
    documents: int
    empty: int
    endless: int
    named: int
    rounds: str


def seek_rows(run: Run) -> list[SeekRow]:
    """One row an AttrSeek task."""
    found = []
    for task in run.tasks:
        if task.samples and "seek_empty" in task.samples[0].items:
            counts = [int(total([s.items[f"seek_{name}"] for s in task.samples])) for name in ("empty", "endless", "named")]
            found.append(
                SeekRow(task.name, len(task.samples), counts[0], counts[1], counts[2], task.identity.get("rounds", ""))
            )
    return found


def disagreements(task: TaskRun) -> list[Sample]:
    """The documents on which em and em_strict differ."""
    return [sample for sample in task.samples if _right(sample, "em") != _right(sample, "em_strict")]


def _right(sample: Sample, metric: str) -> bool:
    return bool(sample.items[metric]["score"] == 1.0)


def _share(values: Iterable[bool]) -> float:
    flags: Sequence[bool] = list(values)
    return sum(flags) / len(flags) if flags else float("nan")
