"""What a report shows of a run: figures by level, group and concept, and who is mistaken for whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.runs.paths import PathRow, path_rows
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.scoring import NAMING_SCORES
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Integers

SEED = 0
_MISTAKEN = {"wrong_sibling", "wrong_coarse"}


@dataclass(frozen=True)
class LevelRow:
    """One task of a run with its scores and intervals over concepts."""

    task: str
    dataset: str
    level: str
    variant: str
    parent: str
    documents: int
    scores: Mapping[str, Estimate]
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class OtherRow:
    """The main scores of a task that asks neither for a name nor for lists, with intervals over concepts."""

    task: str
    documents: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True)
class GroupRow:
    """Mean exact match of a coarse group or a concept; `instead` is the concept most often named in its place."""

    name: str
    group: str
    documents: int
    em: float
    instead: str
    times: int


@dataclass(frozen=True)
class Confusion:
    """How often each true concept (row) was named as each other one (column), most mistaken first."""

    names: tuple[str, ...]
    counts: Integers
    pairs: tuple[tuple[str, str, int], ...]
    left_out: int


@dataclass(frozen=True)
class DatasetReport:
    """All of one dataset in one run.

    `drop`: superordinate minus fine em on the same documents, where both were run. `paths`: where all three levels were.
    """

    dataset: str
    levels: tuple[LevelRow, ...]
    drop: Estimate | None
    paths: tuple[PathRow, ...]
    task: str
    groups: tuple[GroupRow, ...]
    concepts: tuple[GroupRow, ...]
    confusion: Confusion | None


def dataset_reports(run: Run, most_confused: int = 60) -> list[DatasetReport]:
    """One report for each dataset with a naming task; details come from the finest direct task."""
    by_dataset: dict[str, list[TaskRun]] = defaultdict(list)
    for task in run.tasks:
        if task.names_concepts:
            by_dataset[task.identity["dataset"]].append(task)
    paths = path_rows(run)
    return [
        _dataset(name, tasks, tuple(row for row in paths if row.dataset == name and row.documents), most_confused)
        for name, tasks in sorted(by_dataset.items())
    ]


def other_rows(run: Run) -> list[OtherRow]:
    """One row a task that has no table of its own: closed sets, lists that may lack the name, yes or no; by name."""
    tasks = [task for task in run.tasks if not (task.names_concepts or task.lists_attributes or task.offers_options)]
    return [_other_row(task) for task in sorted(tasks, key=lambda task: task.name)]


def _other_row(task: TaskRun) -> OtherRow:
    resample = Bootstrap(task.clusters, SEED)
    return OtherRow(task.name, len(task.samples), {name: resample.mean(task.scores(name)) for name in task.main_scores})


def _dataset(name: str, tasks: Sequence[TaskRun], paths: tuple[PathRow, ...], most_confused: int) -> DatasetReport:
    ordered = sorted(tasks, key=_place)
    direct = {task.identity["level"]: task for task in reversed(ordered) if task.identity["variant"] == "direct"}
    detail = direct.get("fine") or direct.get("coarse") or ordered[-1]
    return DatasetReport(
        dataset=name,
        levels=tuple(_level(task) for task in ordered),
        drop=_drop(direct["superordinate"], direct["fine"]) if {"superordinate", "fine"} <= set(direct) else None,
        paths=paths,
        task=detail.name,
        groups=_groups(detail, lambda s: (str(s.record["coarse"][0]), str(s.record["superordinate"]))),
        concepts=_groups(detail, lambda s: (str(s.record["fine"][0]), str(s.record["coarse"][0]))),
        confusion=confusion(detail.samples, most_confused),
    )


def _place(task: TaskRun) -> tuple[object, ...]:
    identity = task.identity
    plain = identity["variant"] == "direct"
    return (
        not plain,
        identity["variant"],
        identity["parent"] not in ("gold", "none"),
        LEVELS.index(identity["level"]),
        task.name,
    )


def _level(task: TaskRun) -> LevelRow:
    resample = Bootstrap(task.clusters, SEED)
    scores = {metric: resample.mean(task.scores(metric)) for metric in NAMING_SCORES}
    reasons = Counter(sample.reason for sample in task.samples).most_common()
    identity = task.identity
    return LevelRow(
        task.name, identity["dataset"], identity["level"], identity["variant"], identity["parent"], len(task.samples), scores,
        tuple(reasons),
    )  # fmt: skip


def _drop(high: TaskRun, low: TaskRun) -> Estimate | None:
    above = {sample.record["id"]: sample.score("em") for sample in high.samples}
    pairs = [sample for sample in low.samples if sample.record["id"] in above]
    if not pairs:
        return None
    values = np.array([above[sample.record["id"]] - sample.score("em") for sample in pairs])
    return Bootstrap(Clusters.of([str(sample.record["concept_id"]) for sample in pairs]), SEED).mean(values)


def _groups(task: TaskRun, key: Callable[[Sample], tuple[str, str]]) -> tuple[GroupRow, ...]:
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in task.samples:
        found[key(sample)].append(sample)
    rows, labels = [], _labels(task.samples) | {"": ""}
    for (name, group), samples in found.items():
        named = Counter(other for sample in samples if (other := mistaken_for(sample)))
        concept, times = named.most_common(1)[0] if named else ("", 0)
        instead = labels[concept]
        em = float(np.mean([sample.score("em") for sample in samples]))
        rows.append(GroupRow(name, group, len(samples), em, instead, times))
    return tuple(sorted(rows, key=lambda row: (row.em, row.name)))


def mistaken_for(sample: Sample) -> str | None:
    """The id of the concept that a wrong answer named instead, where it named one."""
    return sample.items["em_strict"].get("concept") or None if sample.reason in _MISTAKEN else None


def _labels(samples: Sequence[Sample]) -> dict[str, str]:
    """A name for each concept of the samples, and for each that was named instead."""
    labels = {sample.record["concept_id"]: str(sample.record["fine"][0]) for sample in samples}
    for sample in samples:
        if other := mistaken_for(sample):
            labels.setdefault(other, ", ".join(sample.items["em_strict"]["named"]))
    return labels


def confusion(samples: Sequence[Sample], most: int) -> Confusion | None:
    """Counts of true against named concept for the most mistaken ones; None if no answer named another concept."""
    pairs = Counter((str(s.record["concept_id"]), other) for s in samples if (other := mistaken_for(s)))
    if not pairs:
        return None
    involved: Counter[str] = Counter()
    for (true, named), count in pairs.items():
        involved[true] += count
        involved[named] += count
    chosen = [name for name, _ in involved.most_common(most)]
    index = {name: number for number, name in enumerate(chosen)}
    counts = np.zeros((len(chosen), len(chosen)), dtype=int)
    left_out = 0
    for (true, named), count in pairs.items():
        if true in index and named in index:
            counts[index[true], index[named]] += count
        else:
            left_out += count
    order, labels = _clustered(counts), _labels(samples)
    top = tuple((labels[true], labels[named], count) for (true, named), count in pairs.most_common(25))
    return Confusion(tuple(labels[chosen[i]] for i in order), counts[np.ix_(order, order)], top, left_out)


def _clustered(counts: Integers) -> list[int]:
    """An order that puts concepts next to those they are confused with (average linkage on symmetric counts)."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return list(range(len(counts)))
    together = counts + counts.T
    distance = 1.0 / (1.0 + together)
    np.fill_diagonal(distance, 0.0)
    return [int(i) for i in leaves_list(linkage(squareform(distance), "average", optimal_ordering=len(counts) <= 100))]
