"""Which stage holds which concept: two tests for each, both corrected for the number of concepts.

* Above chance: the concept's own documents are given the concept more often than others are (Fisher's exact test, the exact
  form of shuffling the labels), and more often than drawing lots would among the concepts that fit what the question tells
  (binomial test). The largest p that counts keeps the false discovery rate at `ALPHA` (Benjamini & Hochberg 1995), and is
  made smaller until no more than `ALPHA` of the concepts pass under shuffled labels.
* Lost: it has right, on the same documents, less than half of what the best stage before it has, and the difference is more
  than chance would show at a false discovery rate of `FALSE_LOSSES` (McNemar's exact test). Probes are compared at equal
  width, the first stage with half of the documents.

A stage holds a concept that is above chance and keeps at least half. What a stage holds, all before it hold, whatever their
own probes say: what has been lost does not come back. So a later stage speaks for an earlier one where it has right itself as
much as is asked of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from finer_tasks.diagnose.evidence import PROBED, STAGES, Evidence, Stage
from finer_tasks.statistics.clusters import Clusters, Floats, Integers

ALPHA = 0.05
# Of the losses told, the share that may be none; it is less, for half must be lost as well.
FALSE_LOSSES = 0.1
KEPT = 0.5
HOLDS, LOST, UNCLEAR = "holds", "lost", "unclear"
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Threshold:
    """What was asked of a stage.

    Attributes:
        p: the largest p that counts as above chance; None where no concept is.
        above: how many concepts are.
        of: how many could be: of the others, too few documents are there for any result to count.
        chance: share of documents that are right under shuffled labels; None without that control.
        above_shuffled: how many concepts are above chance under shuffled labels.
    """

    p: float | None
    above: int
    of: int
    chance: float | None = None
    above_shuffled: int | None = None


@dataclass(frozen=True, eq=False)
class Holding:
    """One stage and all concepts, shape (concepts,) each.

    Attributes:
        p: of the test above chance.
        above: whether a concept is above chance.
        able: whether it could be, with all of its documents right and no others.
        status: HOLDS, LOST or UNCLEAR.
    """

    p: Floats
    above: Flags
    able: Flags
    status: tuple[str, ...]
    threshold: Threshold


def holdings(evidence: Evidence) -> dict[str, Holding]:
    """Each measured stage, in the order of the path."""
    concepts = evidence.concepts
    stages = {name: evidence.stages[name] for name in STAGES if name in evidence.stages}
    tested = {name: _tested(stage, evidence.shuffled.get(name), concepts) for name, stage in stages.items()}
    shares = {name: concepts.means(stage.hits) for name, stage in stages.items()}
    found: dict[str, Holding] = {}
    behind: Floats = np.zeros(len(concepts))
    for name in reversed(stages):
        p, able, threshold = tested[name]
        above = p <= (-1.0 if threshold.p is None else threshold.p)
        kept, lost = _kept_and_lost(evidence, stages, shares, name)
        before = [shares[one] for one in stages if STAGES.index(one) < STAGES.index(name)]
        vouched = (behind > 0) & (behind >= KEPT * (np.max(before, axis=0) if before else 1.0))
        holds = (above & kept) | vouched
        status = np.where(holds, HOLDS, np.where(lost, LOST, UNCLEAR))
        found[name] = Holding(p, above, able, tuple(map(str, status)), threshold)
        behind = np.maximum(behind, np.where(holds, shares[name], 0.0))
    return {name: found[name] for name in stages}


def _tested(stage: Stage, shuffled: Stage | None, concepts: Clusters) -> tuple[Floats, Flags, Threshold]:
    p, least = p_above_chance(stage, concepts), _least_p(stage, concepts)
    able: Flags = least <= ALPHA
    p = np.where(able, p, 1.0)
    largest, chance, passing = _largest_rejected(p[able]), None, None
    if shuffled is not None:
        control = p_above_chance(shuffled, concepts)
        largest = min(largest, float(np.nextafter(np.sort(control)[int(ALPHA * len(control))], -1.0)))
        chance, passing = float(shuffled.hits.mean()), int((control <= largest).sum())
    above = int((p <= largest).sum())
    return p, able, Threshold(largest if above else None, above, int(able.sum()), chance, passing)


def p_above_chance(stage: Stage, concepts: Clusters) -> Floats:
    """One-sided p for each concept: the larger of Fisher's, by the documents of others, and that of drawing lots."""
    return _p(np.rint(concepts.sums(stage.hits)).astype(int), stage.alarms, stage, concepts)


def _least_p(stage: Stage, concepts: Clusters) -> Floats:
    return _p(concepts.sizes, np.zeros_like(stage.alarms), stage, concepts)


def _p(right: Integers, alarms: Integers, stage: Stage, concepts: Clusters) -> Floats:
    sizes = concepts.sizes
    by_others = stats.hypergeom.sf(right - 1, sizes + stage.others, right + alarms, sizes)
    return np.maximum(by_others, stats.binom.sf(right - 1, sizes, 1 / stage.choices))


def _largest_rejected(p: Floats) -> float:
    """The largest p that is rejected at a false discovery rate of ALPHA, below 0 where none is."""
    rejected = p[_rejected(p, ALPHA)] if len(p) else p
    return float(rejected.max()) if len(rejected) else -1.0


def _kept_and_lost(
    evidence: Evidence, stages: Mapping[str, Stage], shares: Mapping[str, Floats], name: str
) -> tuple[Flags, Flags]:
    """Whether each concept keeps at least half of what it had before the stage, and whether it surely does not."""
    concepts, before = evidence.concepts, [one for one in stages if STAGES.index(one) < STAGES.index(name)]
    if not before:
        right, kept = np.rint(concepts.sums(stages[name].hits)), shares[name] >= KEPT
        return kept, ~kept & _rejected(np.asarray(stats.binom.cdf(right, concepts.sizes, KEPT)), FALSE_LOSSES)
    best = np.argmax([shares[one] for one in before], axis=0)[concepts.index]
    pairs = [_paired(evidence, stages, one, name) for one in before]
    documents = np.arange(len(evidence.ids))
    earlier = np.array([pair[0] for pair in pairs])[best, documents]
    later = np.array([pair[1] for pair in pairs])[best, documents]
    kept = concepts.sums(later) >= KEPT * concepts.sums(earlier)
    worse, better, both = (
        np.rint(concepts.sums(values)).astype(int) for values in (earlier * (1 - later), later * (1 - earlier), earlier * later)
    )
    return kept, ~kept & (losing(worse, better, both) <= FALSE_LOSSES)


def losing(worse: Integers, better: Integers, both: Integers) -> Floats:
    """For each concept, the share of no losses among those as clear as this one or clearer; 1 where half is kept.

    worse, better: documents that only the earlier or only the later stage has right; both: that both have. The expected
    number of concepts that chance alone would show as lost, which for most is none, over the number that are shown
    (Gilbert 2005 and Heyse 2011, for tests of few documents).
    """
    turned = worse + better
    p = np.where(both + better < KEPT * (both + worse), stats.binom.sf(worse - 1, turned, 0.5), np.inf)
    # So many must be worse for less than half to be kept: both + turned - w < KEPT (both + w).
    needed = np.floor((turned + (1 - KEPT) * both) / (1 + KEPT)).astype(int) + 1
    found: Floats = np.ones(len(p))
    share = 1.0
    for level in sorted(set(p[np.isfinite(p)].tolist()), reverse=True):
        least = np.maximum(needed, np.asarray(stats.binom.isf(level, turned, 0.5)).astype(int) + 1)
        expected = float(np.sum(stats.binom.sf(least - 1, turned, 0.5)))
        share = min(share, expected / int((p <= level).sum()))
        found[p == level] = share
    return found


def _rejected(p: Floats, rate: float) -> Flags:
    rejected: Flags = stats.false_discovery_control(p) <= rate
    return rejected


def _paired(evidence: Evidence, stages: Mapping[str, Stage], before: str, after: str) -> tuple[Floats, Floats]:
    """The hits of two stages, of probes at equal width where that was measured."""
    equal = evidence.equal_width
    if {before, after} <= set(PROBED) & set(equal):
        return equal[before], equal[after]
    return stages[before].hits, stages[after].hits
