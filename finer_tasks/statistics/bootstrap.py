"""Means with intervals by a bootstrap over clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from finer_tasks.statistics.clusters import Clusters, Floats

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with the bounds of its bootstrap interval (percentile method, concepts as clusters)."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Whole clusters are drawn with replacement, the same draws for every figure."""

    def __init__(self, clusters: Clusters, seed: int) -> None:
        self.clusters = clusters
        rng, k = np.random.default_rng(seed), len(clusters)
        self._drawn = rng.multinomial(k, np.full(k, 1 / k), size=RESAMPLES).astype(float)
        self._weights = self._drawn @ clusters.sizes

    def means(self, values: Floats) -> Floats:
        """Mean over documents in every draw, shape (draws,); those of several figures belong together draw by draw."""
        found: Floats = (self._drawn @ self.clusters.sums(values)) / self._weights
        return found

    def interval(self, values: Floats, tail: float) -> tuple[float, float]:
        """Bounds of the mean over documents, each passed by this share of the resampled means."""
        low, high = np.quantile(self.means(values), [tail, 1 - tail])
        return float(low), float(high)

    def mean(self, values: Floats) -> Estimate:
        """Mean over documents with its 95 % interval."""
        return estimate(float(values.mean()), self.means(values))

    def mean_of_known(self, values: Floats) -> Estimate | None:
        """Mean over the documents that have a value, the others being nan; None if none has."""
        known = ~np.isnan(values)
        if not known.any():
            return None
        sums, counts = (self._drawn @ self.clusters.sums(one) for one in (np.nan_to_num(values), known.astype(np.float64)))
        return estimate(float(values[known].mean()), sums[counts > 0] / counts[counts > 0])

    def statistic(self, of: Callable[[Floats], float]) -> Estimate:
        """A figure that is no mean, with its 95 % interval: `of` takes how often each document counts, shape (documents,)."""
        found = np.array([of(drawn[self.clusters.index]) for drawn in self._drawn])
        return estimate(of(np.ones(len(self.clusters.index))), found)


def estimate(value: float, draws: Floats) -> Estimate:
    """A figure with its 95 % interval, from what it is in every draw."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
