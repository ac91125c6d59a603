"""Paired tests of a drop, intervals, and what a number of documents can show. Pure functions.

Differences are candidate minus baseline, turned so that below zero is worse. Documents of one concept
are not independent: the sign-flip test and the interval treat a concept's documents as one draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

RESAMPLES = 9999


@dataclass(frozen=True)
class Comparison:
    """One paired comparison.

    low, high: interval of the mean difference at confidence 1 - 2 alpha, so that its lower end is a
    one-sided bound at alpha. p_mcnemar: None unless all scores are 0 or 1. p: the larger of the tests'
    one-sided p values. detectable: the smallest true drop that would be found at this alpha and power.
    """

    documents: int
    concepts: int
    baseline: float
    candidate: float
    difference: float
    low: float
    high: float
    worse: int
    better: int
    p_mcnemar: float | None
    p_sign_flip: float
    p: float
    detectable: float


def compare(
    baseline: np.ndarray, candidate: np.ndarray, concepts: Sequence[str], alpha: float, power: float, seed: int
) -> Comparison:
    """Compare scores of shape (documents,) of the same documents; higher is better."""
    differences = candidate - baseline
    worse, better = int((differences < 0).sum()), int((differences > 0).sum())
    binary = bool(np.isin(baseline, (0, 1)).all() and np.isin(candidate, (0, 1)).all())
    sums, sizes = by_concept(differences, concepts)
    p_mcnemar = mcnemar(worse, better) if binary else None
    p_sign_flip = sign_flip(sums, seed)
    low, high = interval(differences, sums, sizes, alpha, seed)
    return Comparison(
        documents=len(differences),
        concepts=len(sums),
        baseline=float(baseline.mean()),
        candidate=float(candidate.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        worse=worse,
        better=better,
        p_mcnemar=p_mcnemar,
        p_sign_flip=p_sign_flip,
        p=max(p_sign_flip, p_mcnemar if p_mcnemar is not None else 0.0),
        detectable=detectable_drop(differences, sums, alpha, power),
    )


def by_concept(differences: np.ndarray, concepts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the differences, and number of documents, of each concept."""
    _, index = np.unique(np.asarray(concepts), return_inverse=True)
    return np.bincount(index, weights=differences), np.bincount(index)


def mcnemar(worse: int, better: int) -> float:
    """Exact one-sided McNemar test: the chance of so many documents or more turning wrong, of those that turned.

    Takes documents as independent.
    """
    turned = worse + better
    return float(stats.binomtest(worse, turned, 0.5, alternative="greater").pvalue) if turned else 1.0


def sign_flip(sums: np.ndarray, seed: int, alternative: Literal["less", "two-sided"] = "less") -> float:
    """p of the mean difference when the sign of each concept's sum is random.

    Exact over all signs for few concepts, else from 9,999 draws.
    """
    moved = sums[sums != 0]
    if len(moved) < 2:  # one sign alone, which scipy does not take
        return 0.5 if alternative == "less" and moved.sum() < 0 else 1.0
    found = stats.permutation_test(
        (moved,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=RESAMPLES,
        batch=256,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def standard_error(differences: np.ndarray, sums: np.ndarray) -> float:
    """Of the mean difference: the larger of the ones clustered by concept and by document.

    The one by document counts one more document that changed, so that it is not zero where
    nothing changed, as Agresti & Min (2005) add to each cell of a paired table.
    """
    n, k, mean = len(differences), len(sums), float(differences.mean())
    sizes = n / k
    clustered = math.sqrt(k / max(1, k - 1) * float(((sums - mean * sizes) ** 2).sum())) / n
    adjusted = math.sqrt(float((differences**2).sum()) + 1 - n * mean**2) / n
    return max(clustered, adjusted)


def interval(differences: np.ndarray, sums: np.ndarray, sizes: np.ndarray, alpha: float, seed: int) -> tuple[float, float]:
    """Bounds of the mean difference at one-sided alpha each: the wider of a bootstrap over concepts and a t interval."""
    rng = np.random.default_rng(seed)
    k = len(sums)
    counts = rng.multinomial(k, np.full(k, 1 / k), size=2000)
    means = (counts @ sums) / (counts @ sizes)
    low, high = np.quantile(means, [alpha, 1 - alpha])
    mean = float(differences.mean())
    half = float(stats.t.ppf(1 - alpha, max(1, k - 1))) * standard_error(differences, sums)
    return min(float(low), mean - half), max(float(high), mean + half)


def detectable_drop(differences: np.ndarray, sums: np.ndarray, alpha: float, power: float) -> float:
    """The smallest true drop d found with this power at one-sided alpha.

    d = t(alpha) sqrt(SE^2 + d^2 / k) + t(power) SE for k concepts: random signs spread the mean by the
    drop itself as well. At least what the exact test needs: log2(1 / alpha) documents that all turn wrong.
    """
    k = len(sums)
    error, freedom = standard_error(differences, sums), max(1, k - 1)
    critical, reach = (float(stats.t.ppf(share, freedom)) for share in (1 - alpha, power))
    drop = 0.0
    for _ in range(50):  # converges by a factor of critical / sqrt(k) a step; diverges where no drop can be found
        drop = min(1.0, critical * math.hypot(error, drop / math.sqrt(k)) + reach * error)
    fewest = math.ceil(math.log2(1 / alpha)) / len(differences)
    return max(drop, fewest)


def holm(values: Sequence[float], alpha: float) -> list[float]:
    """p values adjusted for the number of tasks (Holm 1979)."""
    return [float(value) for value in multipletests(list(values), alpha=alpha, method="holm")[1]] if values else []
