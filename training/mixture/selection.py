"""Which images of a dataset go into a mixture: balanced over concepts, the same for every style."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finer_tasks.training.mixture.recipe import DatasetShare


@dataclass(frozen=True)
class Candidates:
    """The train split of a dataset as columns: one concept and superordinate per image, and whether it may be used."""

    concepts: np.ndarray
    superordinates: np.ndarray
    allowed: np.ndarray


def select(candidates: Candidates, share: DatasetShare, seed: Sequence[int]) -> np.ndarray:
    """Indices of the images to take, in ascending order.

    Each concept's images are put in random order; images are then taken in rounds, one of every
    concept a round, until a cap is reached, so that no concept leads by more than one image
    unless the others have no more.
    """
    rng = np.random.default_rng(seed)
    indices = np.flatnonzero(candidates.allowed)
    indices = indices[rng.permutation(len(indices))]
    rounds = _rank_within(candidates.concepts[indices])
    if share.per_concept is not None:
        kept = rounds < share.per_concept
        indices, rounds = indices[kept], rounds[kept]
    order = np.argsort(rounds, kind="stable")
    indices = indices[order]
    if share.cap is not None:
        groups = candidates.superordinates[indices] if share.cap_by == "superordinate" else np.zeros(len(indices), int)
        indices = indices[_rank_within(groups) < share.cap]
    return np.sort(indices)


def _rank_within(groups: np.ndarray) -> np.ndarray:
    """For each element, how many elements of its group stand before it."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, int)
    lengths = np.diff(np.r_[starts, len(ordered)])
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return ranks


def spread(counts: Counter[str]) -> dict[str, int]:
    """Smallest and greatest count, for the card."""
    return {"least": min(counts.values(), default=0), "most": max(counts.values(), default=0)}
