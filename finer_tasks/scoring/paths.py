"""Figures on paths through the taxonomy, from the superordinate down to the fine concept; one value a document.

Two views of an answer. Where a document was asked for at every level, there is a right or wrong answer at each of
them: `right`, shape (documents, levels), the superordinate first. Of a single answer, `depth` is how far down the true path
what it names goes, and `specificity` how far down it goes at all (both as the strict scorer finds them, 0 for nothing).

The root of the tree, "anything", is no level here, as in Kiritchenko et al. 2006: every answer would have it right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finer_tasks.statistics.clusters import Floats, Integers

Flags = npt.NDArray[np.bool_]


def hierarchical_consistent_accuracy(right: Flags) -> Floats:
    """HCA: 1 if every level is right. Wu et al. 2024 (ProTeCt, arXiv 2306.02240); He et al. 2026 (TARA, 2603.00431), eq. 4.

    hca = prod over levels j of right_j. The sources choose from a closed list at each level; here answers are open.
    """
    return np.asarray(right.all(axis=1), dtype=np.float64)


def point_overlap_ratio(right: Flags) -> Floats:
    """POR: the share of levels that are right. He et al. 2026 (arXiv 2603.00431), eq. 6.

    por = (1/L) sum over levels j of right_j
    """
    return np.asarray(right.mean(axis=1))


def strict_point_overlap_ratio(right: Flags) -> Floats:
    """S-POR: the longest run of levels that are all right, as a share of the levels. He et al. 2026 (2603.00431), eq. 7.

    s_por = (1/L) max over a <= b of (b - a + 1) prod over j = a..b of right_j

    Published code also counts only the run that starts at the first level. It differs where that level is wrong;
    here the equation holds.
    """
    run = longest = np.zeros(len(right))
    for level in right.T:
        run = (run + 1) * level
        longest = np.maximum(longest, run)
    return np.asarray(longest / right.shape[1])


def top_overlap_ratio(right: Flags) -> Floats:
    """TOR: the share of pairs of adjacent levels that are both right. He et al. 2026 (arXiv 2603.00431), eq. 8.

    tor = (1/(L-1)) sum over j < L of right_j right_(j+1)
    """
    return np.asarray((right[:, :-1] & right[:, 1:]).mean(axis=1))


def hierarchical_precision(depth: Integers, specificity: Integers) -> Floats:
    """hP: the share of the named path that lies on the true one; nan where nothing is named.

    hp = |P ∩ T| / |P| with P and T the named and true concept with all above them (Kiritchenko et al. 2006;
    Kosmopoulos et al. 2015, arXiv 1306.6802). Taken by document, as Snæbjarnarson et al. 2025 (arXiv 2504.05457) do and the
    first do not. That code gives an answer without a name 0; here it is no part of precision, and lowers recall and F1.
    """
    named, known = np.asarray(specificity), np.full(len(depth), np.nan)
    np.divide(np.minimum(depth, named), named, out=known, where=named > 0)
    return known


def hierarchical_recall(depth: Integers, asked: int) -> Floats:
    """hR: the share of the true path, down to the asked level, that is named. Sources as for hierarchical_precision.

    hr = |P ∩ T| / |T|. The sources ask for the leaf only; a name below the asked level counts as that level.
    """
    return np.asarray(np.minimum(depth, asked) / asked)


def hierarchical_f1(depth: Integers, specificity: Integers, asked: int) -> Floats:
    """hF1: harmonic mean of the document's hP and hR, 0 where either is 0 or nothing is named. Same sources."""
    precision, recall = np.nan_to_num(hierarchical_precision(depth, specificity)), hierarchical_recall(depth, asked)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros(len(depth)), where=both > 0)


def correctness(depth: Integers, specificity: Integers) -> Floats:
    """1 if all that is named is true, however general; nan where nothing is named.

    That hp = 1. Beside the specificity it tells a model that says less from one that says what is wrong; our definition,
    in the sense of Snæbjarnarson et al. 2025, who read hP as correctness and hR as specificity.
    """
    precision = hierarchical_precision(depth, specificity)
    return np.where(np.isnan(precision), np.nan, precision == 1)
