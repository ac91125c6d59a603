"""From per-document scores to the figures of a task.

Items are dicts with `concept_id` and either `score` or `value`. From `score` lmms-eval computes a
standard error of the mean over documents, clustered by concept (`cluster_key`; Miller 2024, arXiv
2411.00640, equation 4). Figures that are no such mean (by concept, or a count) use `value`, for
which it prints none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from finer_tasks.statistics.clusters import Clusters, Floats

Item = Mapping[str, Any]


def mean(items: Sequence[Item]) -> float:
    """Mean over documents: (1/n) sum of scores; nan without documents."""
    return _mean(item["score"] for item in items)


def macro_mean(items: Sequence[Item]) -> float:
    """Mean over concepts of the mean over each concept's documents, since class sizes differ."""
    return float(_clusters(items).means(_values(items)).mean()) if items else math.nan


def total(items: Sequence[Item]) -> float:
    """Sum of the values, for counts."""
    return float(sum(item["value"] for item in items))


def mean_of_known(items: Sequence[Item]) -> float:
    """Mean over the documents that have a score; nan if none has."""
    return _mean(item["score"] for item in items if "score" in item)


def clustered_standard_error(items: Sequence[Item]) -> float:
    """Standard error of the mean with documents of a concept as one cluster; nan for one concept or none."""
    return _clusters(items).standard_error(_values(items)) if items else math.nan


def macro_standard_error(items: Sequence[Item]) -> float:
    """Standard error of `macro_mean`, over concepts; nan for one concept or none."""
    return _clusters(items).macro_standard_error(_values(items)) if items else math.nan


def _clusters(items: Sequence[Item]) -> Clusters:
    return Clusters.of([item["concept_id"] for item in items])


def _values(items: Sequence[Item]) -> Floats:
    return np.array([item["score"] if "score" in item else item["value"] for item in items], dtype=float)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else float("nan")
