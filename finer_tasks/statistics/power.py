"""The smallest true drop that the gate's tests would find, by simulating them on documents like the given ones.

A formula on means is wrong where it matters: concepts of unequal sizes, few concepts, several tasks. So candidates with a
planted drop are drawn, the tests of `paired.py` are made on each, and the drop that the wanted share of them finds
is looked for by bisection. Deterministic under a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from finer_tasks.statistics.clusters import Clusters, Floats

REPLICATES = 400
_STEPS = 10
# So many concepts have all their signs gone through; of more, the ones that changed most, and the rest add up to a normal.
_ALL, _LARGEST = 8, 6
_EPSILON = 1e-12


@dataclass(frozen=True)
class Noise:
    """How documents change where nothing is planted.

    sizes: documents of each concept, shape (concepts,). turned: share of documents whose score differs, in either direction.
    within: variance of a document's difference inside its concept. spread: sum of squares of the concepts' mean differences,
    weighted by size; unit: what it grows by for each unit of the variance between concepts; freedom: its degrees of freedom.
    most: the largest drop that the baseline leaves room for. binary: all scores are 0 or 1.
    """

    sizes: Floats
    turned: float
    within: float
    spread: float
    unit: float
    freedom: float
    most: float
    binary: bool


def noise_of(baseline: Floats, candidate: Floats, clusters: Clusters, binary: bool) -> Noise:
    """From scores of shape (documents,) and the concepts that the documents belong to.

    Variances by the one-way analysis of variance with unequal sizes (Searle, Casella & McCulloch 1992, section 3.6). One
    more document is taken to have changed, so that there is noise where nothing changed among few documents.
    """
    differences = candidate - baseline
    n, mean = len(differences), float(differences.mean())
    sizes, k, means = clusters.sizes.astype(float), len(clusters), clusters.means(differences)
    inside = float(((differences - means[clusters.index]) ** 2).sum()) + 1
    within = inside / max(1, n - k)
    spread = float((sizes * (means - mean) ** 2).sum())
    squares, cubes = float((sizes**2).sum()), float((sizes**3).sum())
    unit = n - squares / n
    # Satterthwaite's: as many as a sum of equal squares with this mean and variance would have.
    freedom = unit**2 / max(_EPSILON, squares - 2 * cubes / n + squares**2 / n**2)
    turned = max(1 / n, float((differences != 0).mean()) - abs(mean))
    floor = 0.0 if binary and baseline.min() >= 0 else float(min(baseline.min(), candidate.min(), -1.0 if binary else np.inf))
    return Noise(
        sizes, turned, within, spread, max(_EPSILON, unit), max(1.0, freedom), max(float(baseline.mean()) - floor, 0.0), binary
    )


def detectable_drop(noise: Noise, alpha: float, power: float, beyond: float = 0.0, seed: int = 0) -> float | None:
    """The smallest drop found with this power: p at most `alpha`, and larger than `beyond`. None if there is none."""

    def found(drop: float) -> float:
        rng = np.random.default_rng(seed)
        worse, better, sums = _candidates(noise, drop, rng)
        p = sign_flip_p(sums)
        if noise.binary:
            p = np.maximum(p, stats.binom.sf(worse - 1, np.maximum(worse + better, 1), 0.5))
        reached = -sums.sum(axis=1) / noise.sizes.sum()
        return float(((p <= alpha + _EPSILON) & (reached > beyond)).mean())

    low, high = 0.0, noise.most
    if high <= 0 or found(high) < power:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def _candidates(noise: Noise, drop: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Documents that got worse and better, shape (replicates,), and each concept's sum, shape (replicates, concepts).

    The variance between concepts is itself known from few concepts only: each replicate draws one that the data allow.
    """
    shape = REPLICATES, len(noise.sizes)
    spread = noise.spread * noise.freedom / rng.chisquare(noise.freedom, size=(REPLICATES, 1))
    between = np.sqrt(np.maximum(0, spread - (len(noise.sizes) - 1) * noise.within) / noise.unit)
    shift = drop + between * rng.standard_normal(shape)
    if noise.binary:
        sizes = np.broadcast_to(noise.sizes.astype(np.int64), shape)
        worse = rng.binomial(sizes, np.clip(noise.turned / 2 + np.maximum(shift, 0), 0, 1))
        rest = sizes - worse
        better = rng.binomial(rest, np.clip(noise.turned / 2 + np.maximum(-shift, 0), 0, 1))
        return worse.sum(axis=1), better.sum(axis=1), (better - worse).astype(float)
    sums = -noise.sizes * shift + np.sqrt(noise.sizes * noise.within) * rng.standard_normal(shape)
    return np.zeros(REPLICATES), np.zeros(REPLICATES), sums


def sign_flip_p(sums: Floats) -> Floats:
    """One-sided p of each row of concept sums, shape (rows, concepts), when every concept's sign is random.

    Exact up to eight concepts; beyond, exact over the six largest and normal over the rest.
    """
    total = sums.sum(axis=1, keepdims=True)
    sizes = -np.sort(-np.abs(sums), axis=1)
    count = sizes.shape[1] if sizes.shape[1] <= _ALL else _LARGEST
    signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    large = sizes[:, :count] @ signs.T
    spread = np.sqrt((sizes[:, count:] ** 2).sum(axis=1, keepdims=True))
    gap = total - large
    normal = special.ndtr(gap / np.where(spread > 0, spread, 1))
    p: Floats = np.where(spread > 0, normal, gap >= -1e-9).mean(axis=1)
    return p
