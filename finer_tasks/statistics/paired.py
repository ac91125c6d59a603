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

from finer_tasks.statistics.bootstrap import Bootstrap
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.power import detectable_drop, noise_of

SIGN_FLIPS = 9999


@dataclass(frozen=True)
class Comparison:
    """One paired comparison.

    low, high: interval of the mean difference at confidence 1 - 2 alpha, so that its lower end is a
    one-sided bound at alpha. p_mcnemar: None unless all scores are 0 or 1. p: the larger of the tests'
    one-sided p values. detectable: the smallest true drop that would be found, None if these documents show none.
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
    detectable: float | None


@dataclass(frozen=True)
class Demand:
    """What is asked of a comparison.

    alpha: error rate over all `tests` tasks compared together. power: with which the detectable drop is found.
    beyond: a drop counts only if it is larger.
    """

    alpha: float
    power: float
    tests: int = 1
    beyond: float = 0.0


def compare(baseline: Floats, candidate: Floats, concepts: Sequence[str], demand: Demand, seed: int) -> Comparison:
    """Compare scores of shape (documents,) of the same documents; higher is better.

    The detectable drop is that of a task whose p must be at most alpha / tests, the first step of Holm's procedure.
    """
    differences = candidate - baseline
    worse, better = int((differences < 0).sum()), int((differences > 0).sum())
    binary = bool(np.isin(np.abs(baseline), (0, 1)).all() and np.isin(np.abs(candidate), (0, 1)).all())
    clusters = Clusters.of(concepts)
    p_mcnemar = mcnemar(worse, better) if binary else None
    p_sign_flip = sign_flip(clusters.sums(differences), seed)
    low, high = interval(differences, clusters, demand.alpha, seed)
    noise = noise_of(baseline, candidate, clusters, binary)
    return Comparison(
        documents=len(differences),
        concepts=len(clusters),
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
        detectable=detectable_drop(noise, demand.alpha / demand.tests, demand.power, demand.beyond, seed),
    )


def mcnemar(worse: int, better: int) -> float:
    """Exact one-sided McNemar test: the chance of so many documents or more turning wrong, of those that turned.

    Takes documents as independent.
    """
    turned = worse + better
    return float(stats.binomtest(worse, turned, 0.5, alternative="greater").pvalue) if turned else 1.0


def sign_flip(sums: Floats, seed: int, alternative: Literal["less", "two-sided"] = "less") -> float:
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
        n_resamples=SIGN_FLIPS,
        batch=256,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def standard_error(differences: Floats, clusters: Clusters) -> float:
    """Of the mean difference, for two concepts or more: the larger of the ones clustered by concept and by document.

    Clustered: the jackknife over concepts, sqrt((k-1)/k sum((r_c / (1 - n_c/n))^2)) / n with r_c the sum of a concept's
    residuals (Bell & McCaffrey 2002, CR3), which does not understate where one concept holds many of the documents.
    The one by document counts one more document that changed, so that it is not zero where nothing changed, as
    Agresti & Min (2005) add to each cell of a paired table.
    """
    n, mean = len(differences), float(differences.mean())
    adjusted = math.sqrt(float((differences**2).sum()) + 1 - n * mean**2) / n
    return max(_clustered_error(differences, clusters), adjusted)


def _clustered_error(differences: Floats, clusters: Clusters) -> float:
    n, k = len(differences), len(clusters)
    residuals = (clusters.sums(differences) - differences.mean() * clusters.sizes) / (1 - clusters.sizes / n)
    return math.sqrt((k - 1) / k * float((residuals**2).sum())) / n


def interval(differences: Floats, clusters: Clusters, alpha: float, seed: int) -> tuple[float, float]:
    """Bounds of the mean difference at one-sided alpha each: the wider of a bootstrap over concepts and a t interval.

    The t interval has k - 1 degrees of freedom for k equal concepts, n^2 / sum(n_c^2) - 1 for unequal ones: as many as
    equal concepts would give. Bounds lie within what differences of these scores can be; with one concept that is all.
    """
    mean, most = float(differences.mean()), max(1.0, float(np.abs(differences).max()))
    if len(clusters) < 2:
        return -most, most
    low, high = Bootstrap(clusters, seed).interval(differences, alpha)
    half = min(_t_quantile(clusters, alpha) * standard_error(differences, clusters), 2 * most)
    return max(-most, min(low, mean - half)), min(most, max(high, mean + half))


def unbounded_interval(differences: Floats, clusters: Clusters, alpha: float, seed: int) -> tuple[float, float]:
    """The same for measures whose differences have no bounds and are of no known unit, such as bits per byte.

    Infinite with one cluster, which tells nothing of others.
    """
    if len(clusters) < 2:
        return -math.inf, math.inf
    low, high = Bootstrap(clusters, seed).interval(differences, alpha)
    mean, half = float(differences.mean()), _t_quantile(clusters, alpha) * _clustered_error(differences, clusters)
    return min(low, mean - half), max(high, mean + half)


def _t_quantile(clusters: Clusters, alpha: float) -> float:
    sizes = clusters.sizes.astype(float)
    return float(stats.t.ppf(1 - alpha, float(sizes.sum() ** 2 / (sizes**2).sum()) - 1))


def holm(values: Sequence[float], alpha: float) -> list[float]:
    """p values adjusted for the number of tasks (Holm 1979)."""
    return [float(value) for value in multipletests(list(values), alpha=alpha, method="holm")[1]] if values else []
