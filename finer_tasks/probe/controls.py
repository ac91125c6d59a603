"""What a probe's accuracy is compared with: labels that say nothing, and features as narrow at every point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finer_tasks.probe.store import Values
from finer_tasks.statistics.clusters import Integers

# Of each concept's documents of train, on which the weight decay is chosen.
HELD_OUT = 0.2


def shuffled(labels: Integers, seed: int) -> Integers:
    """The labels in another order: what a probe then names right, it names by chance."""
    return np.random.default_rng(seed).permutation(labels)


def projection(width: int, narrow: int, seed: int) -> Values:
    """A Gaussian matrix of shape (width, narrow) that nearly keeps distances (Johnson & Lindenstrauss 1984)."""
    drawn = np.random.default_rng((seed, width)).standard_normal((width, narrow)) / np.sqrt(narrow)
    return np.asarray(drawn, dtype=np.float32)


def held_out(concepts: Sequence[str], seed: int) -> npt.NDArray[np.bool_]:
    """Marks a fifth of each concept's documents, one at least."""
    _, index = np.unique(np.asarray(concepts), return_inverse=True)
    generator, marks = np.random.default_rng(seed), np.zeros(len(index), dtype=bool)
    for concept in range(index.max() + 1):
        rows = generator.permutation(np.flatnonzero(index == concept))
        marks[rows[: max(1, int(HELD_OUT * len(rows)))]] = True
    return marks
