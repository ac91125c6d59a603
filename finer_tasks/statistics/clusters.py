"""The partition of documents into clusters that every interval, test and standard error uses.

Documents of one concept are not independent, so a concept's documents count as one draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """Which cluster each document belongs to.

    names: the clusters, sorted, shape (clusters,). index: each document's cluster, shape (documents,). sizes: documents
    of each cluster, shape (clusters,).
    """

    names: tuple[str, ...]
    index: Integers
    sizes: Integers

    @classmethod
    def of(cls, labels: Sequence[str]) -> Clusters:
        """From the cluster's name of each document."""
        names, index, sizes = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        return cls(tuple(map(str, names)), index, sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def sums(self, values: Floats) -> Floats:
        """Sum of the documents' values in each cluster."""
        return np.bincount(self.index, weights=values, minlength=len(self)).astype(np.float64, copy=False)

    def means(self, values: Floats) -> Floats:
        """Mean of the documents' values in each cluster."""
        return self.sums(values) / self.sizes

    def standard_error(self, values: Floats) -> float:
        """Of the mean over documents: sqrt(sum over clusters of (sum of the residuals in it)^2) / n; nan for one cluster.

        The usual cluster-robust form, without the small-sample factor (Miller 2024, arXiv 2411.00640, equation 4).
        """
        if len(self) < 2:
            return math.nan
        return float(np.sqrt((self.sums(values - values.mean()) ** 2).sum()) / len(values))

    def macro_standard_error(self, values: Floats) -> float:
        """Of the mean over clusters: sample standard deviation of the clusters' means over sqrt(clusters); nan for one."""
        return float(np.std(self.means(values), ddof=1) / np.sqrt(len(self))) if len(self) > 1 else math.nan
