"""Position bias in multiple choice: whether what is chosen, and whether it is right, depends on where options stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2_contingency, chisquare

from finer_tasks.statistics.clusters import Floats, Integers


@dataclass(frozen=True)
class Position:
    """One position. `right_here` documents have the right option at it, and of these a share `accuracy` is right.

    `low` and `high` are Wilson's 95 % interval of that, nan without documents. `chosen` is this position's share of all
    choices, `expected` the share without a bias.
    """

    right_here: int
    accuracy: float
    low: float
    high: float
    chosen: float
    expected: float


@dataclass(frozen=True)
class PositionBias:
    """All positions, and two tests that take documents as independent; nan where there is nothing to test.

    Attributes:
        spread: standard deviation of the accuracy over positions (Zheng et al. 2024, arXiv 2309.03882).
        chosen_p: of the chi-square test that positions are chosen as often as `expected` says.
        accuracy_p: of the chi-square test that accuracy is the same wherever the right option stands.
    """

    positions: tuple[Position, ...]
    spread: float
    chosen_p: float
    accuracy_p: float


def position_bias(right: Integers, chosen: Integers, options: Integers) -> PositionBias:
    """The bias over documents with an option's position that is right, one that is chosen (-1 for none), and their number.

    All of shape (documents,). Without a bias a model of accuracy a chooses the right position with probability a, and each
    other of k options with (1 - a) / (k - 1); summed over the documents that choose an option, this gives what is expected.
    """
    width = int(options.max())
    hits = chosen == right
    there = np.bincount(right, minlength=width)
    hit = np.bincount(right[hits], minlength=width)
    chooses = chosen >= 0
    observed = np.bincount(chosen[chooses], minlength=width)
    expected = _expected(right[chooses], hits[chooses], options[chooses], width)
    total = max(1, int(chooses.sum()))
    positions = tuple(
        Position(int(there[j]), *_share(int(hit[j]), int(there[j])), float(observed[j] / total), float(expected[j] / total))
        for j in range(width)
    )
    known = [position.accuracy for position in positions if position.right_here]
    return PositionBias(positions, float(np.std(known)), _chosen_p(observed, expected), _accuracy_p(there, hit))


def _expected(right: Integers, hits: Integers, options: Integers, width: int) -> Floats:
    accuracy = float(hits.mean()) if len(hits) else 0.0
    places = np.arange(width)[None, :]
    other = (1 - accuracy) / np.maximum(options - 1, 1)[:, None] * (places < options[:, None])
    share = np.where(places == right[:, None], accuracy, other)
    found: Floats = share.sum(0)
    return found


def _share(hits: int, documents: int) -> tuple[float, float, float]:
    if not documents:
        return math.nan, math.nan, math.nan
    interval = binomtest(hits, documents).proportion_ci(method="wilson")
    return hits / documents, float(interval.low), float(interval.high)


def _chosen_p(observed: Integers, expected: Floats) -> float:
    some = expected > 0
    if some.sum() < 2 or not observed.sum():
        return math.nan
    return float(chisquare(observed[some], expected[some] * (observed[some].sum() / expected[some].sum())).pvalue)


def _accuracy_p(there: Integers, hit: Integers) -> float:
    table = np.array([hit, there - hit])[:, there > 0]
    if table.shape[1] < 2 or not table.sum(1).all():
        return math.nan
    return float(chi2_contingency(table, correction=False).pvalue)
