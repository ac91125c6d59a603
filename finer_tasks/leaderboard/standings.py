"""Boards: verified submissions ranked on sets of tasks, with intervals and the ranks that a paired test cannot rule out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.scoring import NAMING_SCORES
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.paired import holm, sign_flip
from finer_tasks.submission.scoring import documents_of, official_task
from finer_tasks.submission.verify import Verified
from finer_tasks.tasks.table import TaskInfo

ALPHA, SEED = 0.05, 0


@dataclass(frozen=True)
class Standing:
    """One submission on one board; best and worst are the ranks it may have, `unanswered` counts documents by reason."""

    submission: Verified
    scores: Mapping[str, float]
    interval: Estimate
    best: int
    worst: int
    unanswered: Mapping[str, int]


@dataclass(frozen=True)
class Board:
    """A ranking over tasks that count alike, by em or, for attribute tasks, attr_f1; highest first."""

    name: str
    tasks: tuple[str, ...]
    metric: str
    standings: tuple[Standing, ...]
    incomplete: tuple[Verified, ...]


def boards(submissions: Sequence[Verified]) -> list[Board]:
    """Overall, by dataset and by level over the direct tasks; then every task alone."""
    groups = board_tasks({name for found in submissions for name in found.submission.tasks})
    made = {tasks: _board(tasks, submissions) for tasks in set(groups.values())}
    return [replace(made[tasks], name=name) for name, tasks in groups.items()]


def board_tasks(names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The boards that these tasks make, by name, with the tasks of each."""
    ordered = sorted(names)
    direct = [name for name in ordered if _is_direct(official_task(name))]
    groups: dict[str, list[str]] = {"overall": direct}
    for dataset in dict.fromkeys(official_task(name).dataset for name in direct):
        groups[f"dataset: {dataset}"] = [name for name in direct if official_task(name).dataset == dataset]
    for level in LEVELS:
        groups[f"level: {level}"] = [name for name in direct if official_task(name).level == level]
    groups |= {name: [name] for name in ordered}
    return {name: tuple(tasks) for name, tasks in groups.items() if tasks}


def _is_direct(task: TaskInfo) -> bool:
    """The benchmark's own way of asking; the superordinate question has no parent."""
    return task.variant == "direct" and (task.parent == "gold" or task.level == "superordinate")


def _board(tasks: tuple[str, ...], submissions: Sequence[Verified]) -> Board:
    whole = [found for found in submissions if set(tasks) <= set(found.submission.tasks)]
    some = tuple(found for found in submissions if found not in whole and set(tasks) & set(found.submission.tasks))
    metric = "attr_f1" if official_task(tasks[0]).variant.startswith("attributes") else "em"
    weighted = {found.digest: weighted_scores(found, tasks, metric) for found in whole}
    clusters = Clusters.of(concepts_of(tasks))
    resample = Bootstrap(clusters, SEED)
    better = better_pairs(weighted, clusters)
    order = sorted(whole, key=lambda found: (-float(weighted[found.digest].sum()), found.submission.card.name))
    standings = []
    for found in order:
        above = sum((other.digest, found.digest) in better for other in whole)
        below = sum((found.digest, other.digest) in better for other in whole)
        means = {m: _mean(found, tasks, m) for m in (NAMING_SCORES if metric == "em" else (metric,))}
        values = weighted[found.digest]
        estimate = resample.mean(values)
        size = len(values)  # the sum of weighted scores is the board's score; the bootstrap gives means
        interval = Estimate(estimate.value * size, estimate.low * size, estimate.high * size)
        counts = Counter[str]()
        for name in tasks:
            counts.update(found.submission.tasks[name].unanswered)
        standings.append(Standing(found, means, interval, 1 + above, len(whole) - below, dict(sorted(counts.items()))))
    return Board("", tasks, metric, tuple(standings), some)


def weighted_scores(found: Verified, tasks: Sequence[str], metric: str) -> Floats:
    """Scores of all documents of the tasks in official order, divided so that they sum to the mean over tasks."""
    parts = []
    for name in tasks:
        documents = documents_of(official_task(name).dataset)
        scores = np.array([found.scores[name][identity][metric] for identity in documents])
        parts.append(scores / (len(documents) * len(tasks)))
    return np.concatenate(parts)


def concepts_of(tasks: Sequence[str]) -> tuple[str, ...]:
    """The concept of each document in the order of `weighted_scores`; a concept is one over all levels."""
    return tuple(
        f"{dataset}/{document['concept_id']}"
        for dataset in (official_task(name).dataset for name in tasks)
        for document in documents_of(dataset).values()
    )


def _mean(found: Verified, tasks: Sequence[str], metric: str) -> float:
    return float(np.mean([found.submission.tasks[name].scores[metric] for name in tasks]))


def better_pairs(weighted: Mapping[str, Floats], clusters: Clusters) -> set[tuple[str, str]]:
    """Pairs (better, worse) by a two-sided sign-flip test over concepts, by Holm over all pairs of the board."""
    pairs = list(combinations(weighted, 2))
    tested = []
    for first, second in pairs:
        # Rounded, so that concepts with equal scores are not told apart by the last bit.
        sums = np.round(clusters.sums(weighted[first] - weighted[second]), 12)
        tested.append((sign_flip(sums, SEED, "two-sided"), float(sums.sum())))
    adjusted = holm([p for p, _ in tested], ALPHA)
    return {
        (first, second) if total > 0 else (second, first)
        for (first, second), (_, total), p in zip(pairs, tested, adjusted, strict=True)
        if p <= ALPHA
    }
