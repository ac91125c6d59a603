"""What share of all documents meets each fate.

A probe tells nothing certain about one document, so that documents are counted together: those of all concepts with the same
verdict. Among them, what is lost at a stage is what the stage before it has right, less what it has right itself; a stage
counts as having right at least what any stage behind it has. Where a concept is not above chance at a stage, what is right
there by luck does not count. Undecided concepts, whose own documents are too few, are asked together, and what other
documents are given as often does not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from finer_tasks.diagnose.evidence import STAGES, Evidence, Stage
from finer_tasks.diagnose.holding import ALPHA, Flags, Holding
from finer_tasks.diagnose.verdict import FATES, NAMED, UNDECIDED, Verdict, fates_at
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Floats, Integers

SEED = 0


@dataclass(frozen=True)
class Overall:
    """The whole level.

    Attributes:
        shares: of the documents, by fate in the order of the path; fates that the evidence cannot tell apart are joined by
            "or".
        verdict: the fate of the largest share, or UNDECIDED between it and the next where their difference is not clear.
        loss: the same among the losses alone; empty where nothing is lost.
        concepts: how many have each verdict.
    """

    shares: Mapping[str, Estimate]
    verdict: str
    loss: str
    concepts: Mapping[str, int]


def overall(evidence: Evidence, found: Mapping[str, Holding], verdicts: Sequence[Verdict]) -> Overall:
    """Shares with 95 % intervals over concepts, and what they come to."""
    counts = {fate: sum(one.fate == fate for one in verdicts) for fate in (*FATES, UNDECIDED)}
    values = _by_document(evidence, found, verdicts)
    resample = Bootstrap(evidence.concepts, SEED)
    shares = {fate: resample.mean(values[fate]) for fate in sorted(values, key=_place)}
    losses = {fate: one for fate, one in values.items() if fate != NAMED}
    return Overall(shares, _largest(values, resample), _largest(losses, resample), counts)


def _place(fate: str) -> tuple[int, int]:
    parts = [FATES.index(part) for part in fate.split(" or ")]
    return max(parts), -len(parts)


def _largest(values: Mapping[str, Floats], resample: Bootstrap) -> str:
    order = sorted(values, key=lambda fate: -values[fate].mean())
    if not order or values[order[0]].mean() <= 0:
        return ""
    if len(order) > 1 and resample.mean(values[order[0]] - values[order[1]]).low <= 0:
        return f"{UNDECIDED}: {order[0]}, or {order[1]}"
    return order[0]


def _by_document(evidence: Evidence, found: Mapping[str, Holding], verdicts: Sequence[Verdict]) -> dict[str, Floats]:
    """What each document adds to each fate; less than zero where a later stage is right about it and an earlier one is not."""
    concepts = evidence.concepts
    groups: dict[tuple[str, bool | None, bool], list[int]] = defaultdict(list)
    for number, one in enumerate(verdicts):
        is_in_language = "language" in found and bool(found["language"].above[number])
        groups[one.fate, one.known, is_in_language].append(number)
    values: dict[str, Floats] = defaultdict(lambda: np.zeros(len(evidence.ids)))
    for (fate, known, is_in_language), members in groups.items():
        chosen = np.isin(concepts.index, members)
        hits = {
            name: _counted(evidence.stages[name], holding, concepts, np.array(members), fate) for name, holding in found.items()
        }
        for loss, lost in _waterfall(hits, chosen, known, is_in_language).items():
            values[loss] += lost
    return dict(values)


def _counted(stage: Stage, holding: Holding, concepts: Clusters, members: Integers, fate: str) -> Floats:
    """The hits of some concepts at a stage, without those of luck."""
    counts = holding.above.astype(float)
    if fate == UNDECIDED:
        right, by_luck = concepts.sums(stage.hits), concepts.sizes * stage.alarms / np.maximum(stage.others, 1)
        beyond: Floats = np.maximum(0.0, right - by_luck) / np.maximum(right, 1)
        counts = beyond * _above_together(stage, concepts, members)
    counted: Floats = stage.hits * counts[concepts.index]
    return counted


def _above_together(stage: Stage, concepts: Clusters, members: Integers) -> bool:
    """Whether concepts are above chance taken together (Mantel & Haenszel 1959, one-sided), and above drawing lots."""
    right, sizes = concepts.sums(stage.hits)[members], concepts.sizes[members]
    total = sizes + stage.others[members]
    given, lot = (right + stage.alarms[members]) / total, 1 / stage.choices[members]
    expected = sizes * np.maximum(given, lot)
    of_others = given * (1 - given) * (total - sizes) / np.maximum(total - 1, 1)
    spread = np.sqrt((sizes * np.maximum(of_others, lot * (1 - lot))).sum())
    return bool(spread > 0 and stats.norm.sf((right - expected).sum() / spread) <= ALPHA)


def _waterfall(hits: Mapping[str, Floats], chosen: Flags, known: bool | None, is_in_language: bool) -> dict[str, Floats]:
    """For each fate, which share of the chosen documents has met it, by document."""
    best = np.zeros(len(chosen))
    kept: dict[str, Floats] = {}
    for name in reversed(list(hits)):
        if not kept or hits[name][chosen].mean() > best[chosen].mean():
            best = hits[name]
        kept[name] = best
    before = chosen.astype(float)
    losses: dict[str, Floats] = defaultdict(lambda: np.zeros(len(chosen)))
    fates: list[str] = []
    for name in STAGES:
        fates += fates_at(name, known, is_in_language)
        if name in hits:
            losses[" or ".join(dict.fromkeys(fates))] += before - kept[name] * chosen
            before, fates = kept[name] * chosen, []
    losses[" or ".join(dict.fromkeys([*fates, NAMED]))] += before
    return dict(losses)
