"""The diagnosis of one level: what every stage has right, what becomes of the documents, and the verdict on each concept."""

from __future__ import annotations

from dataclasses import dataclass

from finer_tasks.diagnose.evidence import Evidence
from finer_tasks.diagnose.holding import ALPHA, FALSE_LOSSES, KEPT, Threshold
from finer_tasks.diagnose.shares import SEED, Overall, overall
from finer_tasks.diagnose.verdict import Verdict, verdicts
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Floats

# How each threshold is set, in the words of the outputs.
RULES = {
    "above chance": (
        "a stage gives the concept to its own documents more often than to others (Fisher's exact test) and more often than "
        f"drawing lots would; false discovery rate {ALPHA:.0%} over the concepts, and no more than {ALPHA:.0%} of them above "
        "chance under shuffled labels"
    ),
    "lost": (
        f"a stage has right, on the same documents, less than {KEPT:.0%} of what the best stage before it has (the first: of "
        f"all), and the difference is more than chance (McNemar's exact test; false discovery rate {FALSE_LOSSES:.0%}); probes "
        "are compared at equal width"
    ),
    "known": (
        f"named from its attributes in {KEPT:.0%} of the documents or more, and no more often from those of others; or held by "
        "the closed set"
    ),
    "named": f"the answer is right for {KEPT:.0%} of the documents or more, above chance, and not lost before",
    "undecided": "a stage neither holds the concept (above chance and not lost, or held by a later stage) nor has lost it",
}
_WITHOUT = {
    "encoder": "without a probe of the encoder, what is not seen cannot be told from what the projector loses",
    "projector": "without a probe of the projector, what it loses cannot be told from what the language model loses",
    "language": "without a probe of the language model, where in it a concept is lost is not known",
    "closed": "without a closed set, what is lost in the language model cannot be told from what is only not named",
    "open": "without the direct task, it is not known what is named",
}


@dataclass(frozen=True)
class StageRow:
    """One stage: the share of documents that it has right, and what was asked of it."""

    stage: str
    source: str
    right: Estimate
    equal_width: Estimate | None
    threshold: Threshold


@dataclass(frozen=True)
class Diagnosis:
    """One level of a dataset.

    Attributes:
        told: the level whose label the questions tell; empty where they tell none.
        text: share of documents that are named from their attributes in words.
        known: how many concepts are known, by that or by the closed set.
        attributes: mean attr_f1 of the attributes listed for the images.
        notes: what a reader must know, what was not measured among it.
    """

    dataset: str
    level: str
    documents: int
    concepts: int
    told: str
    stages: tuple[StageRow, ...]
    text: Estimate | None
    known: int | None
    attributes: float | None
    overall: Overall
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]


def diagnose(evidence: Evidence) -> Diagnosis:
    """The verdicts, the shares, and what they stand on."""
    made, found = verdicts(evidence)
    resample = Bootstrap(evidence.concepts, SEED)
    rows = [
        StageRow(
            name, evidence.stages[name].source, resample.mean(evidence.stages[name].hits),
            _mean(resample, evidence.equal_width.get(name)), holding.threshold,
        )
        for name, holding in found.items()
    ]  # fmt: skip
    return Diagnosis(
        dataset=evidence.dataset,
        level=evidence.level,
        documents=len(evidence.ids),
        concepts=len(evidence.concepts),
        told=evidence.told,
        stages=tuple(rows),
        text=None if evidence.text is None else resample.mean(evidence.text.hits),
        known=None if evidence.text is None else sum(bool(one.known) for one in made),
        attributes=None if evidence.attributes is None else float(evidence.attributes.mean()),
        overall=overall(evidence, found, made),
        verdicts=tuple(made),
        notes=tuple(_notes(evidence)),
    )


def _mean(resample: Bootstrap, values: Floats | None) -> Estimate | None:
    return None if values is None else resample.mean(values)


def _notes(evidence: Evidence) -> list[str]:
    notes = [*evidence.notes, *(told for name, told in _WITHOUT.items() if name not in evidence.stages)]
    if evidence.text is None:
        notes.append("without the text arm, what is lost in the language model cannot be told from what it does not know")
    if evidence.stages.keys() & {"encoder", "projector", "language"} and not evidence.shuffled:
        notes.append("the probe has no control under shuffled labels")
    if evidence.told:
        notes.append(f"the questions tell the {evidence.told} label, the probes are not told it")
    return notes
