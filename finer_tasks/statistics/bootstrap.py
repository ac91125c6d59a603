"""Means with intervals by a bootstrap over concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with the bounds of its bootstrap interval (percentile method, concepts as clusters)."""

    value: float
    low: float
    high: float


class Clusters:
    """Bootstrap over concepts: whole concepts are drawn with replacement, the same draws for every figure."""

    def __init__(self, clusters: Sequence[str], seed: int) -> None:
        names, self.index = np.unique(np.array(clusters), return_inverse=True)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
        self.counts = drawn.astype(float)  # once, not again in every product below
        self.sizes = np.bincount(self.index, minlength=len(names))
        self.weights = self.counts @ self.sizes

    def mean(self, values: np.ndarray) -> Estimate:
        """Mean over documents; its resampled means are sum(counts x sums) / sum(counts x sizes)."""
        sums = np.bincount(self.index, weights=values, minlength=len(self.sizes))
        means = (self.counts @ sums) / self.weights
        low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Estimate(float(values.mean()), float(low), float(high))
