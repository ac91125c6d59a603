"""Selective prediction: which answers to give, by a confidence, and what that costs. Pure functions of arrays.

`confidence` and `right` have shape (documents,), for back-off (documents, levels), the superordinate first. A document that
has no confidence gets minus infinity: it is answered last. Nothing is assumed of the scale, which need not be calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from finer_tasks.statistics.clusters import Floats, Integers


@dataclass(frozen=True)
class RiskCoverage:
    """One point for each threshold that tells documents apart, the strictest first; all of shape (thresholds,).

    threshold: answers with at least this confidence are given. coverage: how much is answered. risk: share of the answers
    given that are wrong.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


def risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> RiskCoverage:
    """Share of documents answered against the share of these that is wrong (El-Yaniv & Wiener 2010).

    Documents of equal confidence are answered together, since no threshold parts them.
    """
    threshold, sizes, wrong = _blocks(*_checked(confidence, right, 1), None)
    answered = np.cumsum(sizes)
    return RiskCoverage(threshold, answered / answered[-1], np.cumsum(wrong) / answered)


def aurc(confidence: npt.ArrayLike, right: npt.ArrayLike, weights: Floats | None = None) -> float:
    """Area under the risk-coverage curve: the mean over k of the risk of the k most confident (Geifman et al. 2019).

    aurc = (1/n) sum over k = 1..n of wrong(k) / k. Where confidences are equal, wrong(k) is its mean over all orders
    of the documents in question, so that the order of the file does not matter. `weights` say how often each document counts.
    """
    _, sizes, wrong = _blocks(*_checked(confidence, right, 1), weights)
    return _area(sizes, wrong)


def excess_aurc(confidence: npt.ArrayLike, right: npt.ArrayLike, weights: Floats | None = None) -> float:
    """E-AURC: the area above that of an order with all right answers first (Geifman et al. 2019); 0 is the best."""
    marks = np.asarray(right, dtype=float)
    return aurc(confidence, right, weights) - aurc(marks, right, weights)


def coverage_at(curve: RiskCoverage, risk: float) -> float:
    """The largest coverage at no more than this risk; 0 where every threshold has more."""
    allowed = curve.coverage[curve.risk <= risk]
    return float(allowed.max()) if len(allowed) else 0.0


def back_off(confidence: npt.ArrayLike, threshold: float) -> Integers:
    """How far down each document is answered: the finest level with at least this confidence, 0 to abstain."""
    sure = np.asarray(confidence) >= threshold
    levels = np.arange(1, sure.shape[1] + 1)
    return np.asarray(np.where(sure, levels, 0).max(axis=1))


def back_off_curve(confidence: npt.ArrayLike, right: npt.ArrayLike) -> RiskCoverage:
    """Risk against coverage where a model backs off to a coarser level before it abstains, as in Goren et al. 2024.

    coverage = mean over documents of the level answered, as a share of the levels. Goren et al. (arXiv 2405.11533) weigh a
    node by the leaves below it instead; confidences alone do not tell those. risk = wrong among the documents answered,
    each at its own level. Coverage never falls along the curve, risk may.
    """
    sure, correct = _checked(confidence, right, 2)
    documents, levels = sure.shape
    # A level takes over from a coarser one where the threshold falls to its confidence, unless a finer one already holds.
    finer = np.maximum.accumulate(sure[:, ::-1], axis=1)[:, ::-1]
    holds = np.column_stack([sure[:, :-1] > finer[:, 1:], np.ones(documents, dtype=bool)])
    at, level = np.nonzero(holds)  # by document, and of each the coarsest first, which is the order of the thresholds
    first = np.r_[True, at[1:] != at[:-1]]
    wrong = ~correct[at, level]
    deeper = level - np.where(first, -1, np.roll(level, 1))
    more_wrong = wrong.astype(float) - np.where(first, False, np.roll(wrong, 1))
    rising, index = np.unique(sure[at, level], return_inverse=True)
    answered, reached, lost = (
        np.cumsum(np.bincount(index, weights=change)[::-1]) for change in (first.astype(float), deeper, more_wrong)
    )
    return RiskCoverage(rising[::-1], reached / (documents * levels), lost / answered)


def area_under(curve: RiskCoverage) -> float:
    """The area by trapezoids, the first risk held down to coverage 0; for back-off curves, whose steps have unequal width."""
    coverage, risk = np.r_[0.0, curve.coverage], np.r_[curve.risk[0], curve.risk]
    return float(np.trapezoid(risk, coverage))


def _checked(confidence: npt.ArrayLike, right: npt.ArrayLike, dimensions: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    sure, correct = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if sure.ndim != dimensions or sure.shape != correct.shape or not sure.size:
        raise ValueError(f"confidences of shape {sure.shape} and marks of shape {correct.shape} do not belong together")
    if np.isnan(sure).any():
        raise ValueError(f"the confidence of document {int(np.argwhere(np.isnan(sure))[0][0])} is no number")
    return sure, correct


def _blocks(confidence: Floats, right: npt.NDArray[np.bool_], weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Confidences, the highest first, with the documents that have each, and the wrong ones of them."""
    rising, index = np.unique(confidence, return_inverse=True)
    counts = np.ones(len(confidence)) if weights is None else weights
    sizes, wrong = (np.bincount(index, weights=one)[::-1].astype(np.float64) for one in (counts, counts * ~right))
    return rising[::-1], sizes, wrong


def _area(sizes: Floats, wrong: Floats) -> float:
    """The mean over k, summed in closed form inside each block of equal confidence.

    After a documents with w wrong, a block of m with e wrong adds sum over j = 1..m of (w + j e/m) / (a + j)
    = e + (w - a e/m) (H(a+m) - H(a)), with the harmonic numbers H.
    """
    there = sizes > 0
    sizes, wrong = sizes[there], wrong[there]
    answered, lost = np.cumsum(sizes) - sizes, np.cumsum(wrong) - wrong
    harmonic = digamma(answered + sizes + 1) - digamma(answered + 1)
    return float((wrong + (lost - answered * wrong / sizes) * harmonic).sum() / sizes.sum())
