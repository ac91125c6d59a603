"""Whether what is gained on a held-out concept depends on how many of its attributes were seen on others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.training.reproduce.scores import HELD_OUT, Scores

_ENDING = "fine_attrseek"


@dataclass(frozen=True)
class Coverage:
    """Share of a held-out concept's required attributes that the mixture tells of others, against what its style gains.

    share: mean, least and most over concepts. correlation: Spearman's, with the gain by AttrSeek of the second style over
    the first, nan where all shares are equal; p_value: of no correlation, over concepts.
    """

    concepts: int
    mean: float
    least: float
    most: float
    correlation: float
    p_value: float


def coverage(scores: Scores) -> Coverage | None:
    """Over all held-out concepts; None where AttrSeek is not asked, or nothing is held out."""
    control, style = scores.plan.mixtures
    if (style, _ENDING, scores.groups[0].name) not in scores.tables:
        return None
    shares = seen_shares(scores)
    known = ~np.isnan(shares)
    gains = (scores.tuned(style, _ENDING, HELD_OUT) - scores.tuned(control, _ENDING, HELD_OUT)).mean(0)[known]
    kept = shares[known]
    if not len(kept):
        return None
    found = stats.spearmanr(kept, gains) if len(set(kept)) > 1 and len(set(gains)) > 1 else None
    correlation, p_value = (float(found.statistic), float(found.pvalue)) if found else (float("nan"), float("nan"))
    return Coverage(len(kept), float(kept.mean()), float(kept.min()), float(kept.max()), correlation, p_value)


def seen_shares(scores: Scores) -> np.ndarray:
    """By concept, the share of its required attributes that concepts of the mixture without it have; nan if never held out."""
    required = {key: _required(key) for key in scores.concepts}
    shares = np.full(len(scores.concepts), np.nan)
    for held in scores.held_out:
        told = {phrase for key, out in zip(scores.concepts, held, strict=True) if not out for phrase in required[key]}
        for place in np.flatnonzero(held):
            phrases = required[scores.concepts[place]]
            shares[place] = np.mean([phrase in told for phrase in phrases]) if phrases else np.nan
    return shares


def _required(key: str) -> tuple[str, ...]:
    dataset, _, concept = key.partition("/")
    return load_knowledge(dataset)[concept].required
