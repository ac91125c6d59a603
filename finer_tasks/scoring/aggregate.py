"""From per-document scores to the figures of a task.

Items are dicts with `concept_id` and either `score` or `value`. From `score` lmms-eval computes a
standard error of the mean over documents, clustered by concept (`cluster_key`; Miller 2024, arXiv
2411.00640, equation 4). Figures that are no such mean (by concept, or a count) use `value`, for
which it prints none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Item = Mapping[str, Any]


def mean(items: Sequence[Item]) -> float:
    """Mean over documents: (1/n) sum of scores; nan without documents."""
    return _mean(item["score"] for item in items)


def macro_mean(items: Sequence[Item]) -> float:
    """Mean over concepts of the mean over each concept's documents, since class sizes differ."""
    return _mean(_mean(scores) for scores in by_concept(items).values())


def total(items: Sequence[Item]) -> float:
    """Sum of the values, for counts."""
    return float(sum(item["value"] for item in items))


def mean_of_known(items: Sequence[Item]) -> float:
    """Mean over the documents that have a score; nan if none has."""
    return _mean(item["score"] for item in items if "score" in item)


def clustered_standard_error(items: Sequence[Item]) -> float:
    """Standard error of the mean with documents of a concept as one cluster.

    With residuals r = score - mean: SE = sqrt( sum over concepts of (sum of r in the concept)^2 ) / n,
    the usual cluster-robust form, without the small-sample factor.
    """
    if len(items) < 2:
        return float("nan")
    centre = mean(items)
    squares = (sum(score - centre for score in scores) ** 2 for scores in by_concept(items).values())
    return float(sum(squares) ** 0.5 / len(items))


def macro_standard_error(items: Sequence[Item]) -> float:
    """Standard error of `macro_mean`: sample standard deviation of the concepts' means over sqrt(concepts)."""
    means = [_mean(values) for values in by_concept(items).values()]
    if len(means) < 2:
        return float("nan")
    centre = _mean(means)
    return float((sum((value - centre) ** 2 for value in means) / (len(means) - 1) / len(means)) ** 0.5)


def by_concept(items: Iterable[Item]) -> dict[str, list[float]]:
    """Scores or values grouped by concept, in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for item in items:
        groups.setdefault(item["concept_id"], []).append(item["score"] if "score" in item else item["value"])
    return groups


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else float("nan")
