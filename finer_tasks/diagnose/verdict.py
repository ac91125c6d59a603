"""The verdict on each concept: the first stage on the way from the image to its name that loses it.

| first stage that loses the concept | verdict |
|---|---|
| encoder | not seen |
| projector | lost in the projector |
| language model | lost in the language model; see below |
| closed set | lost in the language model, or seen but not known where it is not named from text either |
| answer | known and seen but not named |
| none | named, where at least half of the documents are |

A concept that the language model still tells apart, though worse, and does not name from its attributes in words is *seen
but not known*, too. A stage that neither holds a concept nor surely loses it leaves the verdict undecided between what it
and the stages behind it would give; so does a stage that was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from finer_tasks.diagnose.evidence import STAGES, Evidence
from finer_tasks.diagnose.holding import HOLDS, KEPT, LOST, UNCLEAR, Flags, Holding, holdings

NOT_SEEN, PROJECTOR, LANGUAGE = "not seen", "lost in the projector", "lost in the language model"
UNKNOWN, UNNAMED, NAMED = "seen but not known", "known and seen but not named", "named"
FATES = (NOT_SEEN, PROJECTOR, LANGUAGE, UNKNOWN, UNNAMED, NAMED)
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Measured:
    """A concept at one stage.

    Attributes:
        right: how many of its documents are.
        low, high: 95 % interval of their share (Wilson).
        alarms, others: of so many documents of other concepts, so many are given this one.
        p: of the test above chance.
        status: holds, lost or unclear.
    """

    right: int
    low: float
    high: float
    alarms: int
    others: int
    p: float
    status: str


@dataclass(frozen=True)
class Verdict:
    """What becomes of a concept.

    Attributes:
        fate: one of FATES, or UNDECIDED.
        possible: the fates between which the evidence does not decide; the fate alone where it does.
        reason: what an undecided verdict lacks, else empty.
        known: whether it is named from its attributes in words, or chosen from all names by its image; None where the first
            was not asked.
        attributes: mean attr_f1 of the attributes that are listed for its images; None where they were not asked for.
    """

    concept: str
    name: str
    documents: int
    fate: str
    possible: tuple[str, ...]
    reason: str
    known: bool | None
    attributes: float | None
    stages: Mapping[str, Measured]


def verdicts(evidence: Evidence) -> tuple[list[Verdict], dict[str, Holding]]:
    """The verdict on every concept, and what it stands on."""
    found, known = holdings(evidence), knows(evidence)
    if known is not None and "closed" in found:
        # A model that may not say a name fails in words, too.
        known = known | np.array([status == HOLDS for status in found["closed"].status])
    made = [
        _verdict(evidence, found, number, None if known is None else bool(known[number]))
        for number in range(len(evidence.concepts))
    ]
    return made, found


def knows(evidence: Evidence) -> Flags | None:
    """Whether each concept is named from its attributes; None where that was not asked.

    At least half of its documents are, and at most half of those with other attributes. All documents of a concept have the
    same attributes and, with greedy decoding, the same answer, so that there is nothing to test.
    """
    if evidence.text is None:
        return None
    known: Flags = (evidence.concepts.means(evidence.text.hits) >= KEPT) & (evidence.text.alarms <= KEPT * evidence.text.others)
    return known


def _verdict(evidence: Evidence, found: Mapping[str, Holding], number: int, known: bool | None) -> Verdict:
    documents = int(evidence.concepts.sizes[number])
    measured = {name: _measured(evidence, name, holding, number) for name, holding in found.items()}
    possible = _possible(measured, known, "language" in found and bool(found["language"].above[number]))
    reason = ""
    if possible == [NAMED] and measured["open"].right < KEPT * documents:
        possible = list(FATES)
        reason = f"{measured['open'].right} of {documents} documents are named, and no stage loses most of the others"
    elif len(possible) > 1:
        reason = _lacking(measured, found, number)
    return Verdict(
        concept=evidence.concepts.names[number],
        name=evidence.names[number],
        documents=documents,
        fate=possible[0] if len(possible) == 1 else UNDECIDED,
        possible=tuple(possible),
        reason=reason,
        known=known,
        attributes=None if evidence.attributes is None else float(evidence.attributes[number]),
        stages=measured,
    )


def _measured(evidence: Evidence, name: str, holding: Holding, number: int) -> Measured:
    stage, documents = evidence.stages[name], int(evidence.concepts.sizes[number])
    right = round(float(evidence.concepts.sums(stage.hits)[number]))
    bounds = stats.binomtest(right, documents).proportion_ci(method="wilson")
    return Measured(
        right, float(bounds.low), float(bounds.high), int(stage.alarms[number]), int(stage.others[number]),
        float(holding.p[number]), holding.status[number],
    )  # fmt: skip


def _possible(measured: Mapping[str, Measured], known: bool | None, is_in_language: bool) -> list[str]:
    """The fates that the statuses leave open, in the order of the path."""
    possible: dict[str, None] = {}
    skipped: list[str] = []
    for name in STAGES:
        fates = fates_at(name, known, is_in_language)
        if name not in measured:
            skipped += fates
        elif measured[name].status == HOLDS:
            skipped = []
        else:
            possible |= dict.fromkeys([*skipped, *fates])
            skipped = []
            if measured[name].status == LOST:
                return list(possible)
    return list(possible | dict.fromkeys([*skipped, NAMED]))


def fates_at(stage: str, known: bool | None, is_in_language: bool) -> tuple[str, ...]:
    """What a concept's fate is that a stage is the first to lose, by what is known of it; two where that is not enough."""
    if stage == "language":
        return (UNKNOWN,) if known is False and is_in_language else (LANGUAGE,)
    if stage == "closed":
        return (LANGUAGE, UNKNOWN) if known is None else (LANGUAGE,) if known else (UNKNOWN,)
    return {"encoder": (NOT_SEEN,), "projector": (PROJECTOR,), "open": (UNNAMED,)}[stage]


def _lacking(measured: Mapping[str, Measured], found: Mapping[str, Holding], number: int) -> str:
    """What would have to be known, or known better, for a verdict."""
    told = [f"{name} was not measured" for name in STAGES if name not in measured]
    for name, one in measured.items():
        if one.status == UNCLEAR:
            few = "" if found[name].able[number] else ", too few for any result to count"
            told.append(f"{name}: {one.right} right of the documents{few}, neither above chance nor surely lost")
    return "; ".join(told)
