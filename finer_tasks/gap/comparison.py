"""The modality gap: what a model names from text and does not name from the image (Kim & Ji 2024, section 4).

Arms are the variants of the coarse or fine task on the same documents: `image` (the direct
question), `text` (required attributes, no image), `both`, `attrseek`, and `parent_only` as a control
that tells the parents alone. All of them name the same parents, but for iNaturalist's text arm,
which tells the ranks down to genus as the paper does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import ResultsError
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.runs.comparing import Conditions, Side, decoding, of_identity, require_alike_but, require_same_documents
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.scoring import NAMING_SCORES
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Floats

ARMS = {"direct": "image", "text": "text", "both": "both", "attrseek": "attrseek", "attrseek1": "attrseek1",
        "cot": "cot", "cot_fewshot": "cot_fewshot", "parent_only": "parent_only"}  # fmt: skip
# Arms reason at different length: what they may say before they are cut off is part of the arm.
_OF_THE_ARM = ("max_new_tokens", "until")
# What must agree for two arms to be comparable, by the name under which it may be allowed to differ.
CONDITIONS: Conditions = {
    "model": lambda side: side[0].model,
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "data": of_identity("data_fingerprint", "data_source"),
    "scoring": of_identity("scoring", "taxonomy"),
    "decoding": lambda side: decoding(side, without=_OF_THE_ARM),
}
# The same for the arms that tell attributes.
ATTRIBUTES = "attributes"


@dataclass(frozen=True)
class Arm:
    """One arm on the common documents."""

    name: str
    em: Estimate
    em_strict: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Gap:
    """The gap of one dataset and level.

    Attributes:
        arms: figures by arm, over the documents that all arms have.
        differences: em of each arm minus em of the image arm, on the same documents.
        knows_sees: shares of documents by (named from text, named from image): yes_yes, yes_no
            (knows in text, fails in image), no_yes, no_no. Empty without both arms.
        by_coarse: em of the text arm minus em of the image arm, by coarse label.
        widest: concepts by that difference, the widest first.
    """

    dataset: str
    level: str
    documents: int
    concepts: int
    arms: tuple[Arm, ...]
    differences: Mapping[str, Estimate]
    knows_sees: Mapping[str, Estimate]
    by_coarse: Mapping[str, float]
    by_concept: Mapping[str, tuple[float, float]]
    widest: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]


def gaps(runs: Sequence[Run], allow: Collection[str] = (), seed: int = 0) -> list[Gap]:
    """One Gap for each dataset and level that has the image arm; raises ResultsError where arms are not comparable.

    `allow` names conditions of CONDITIONS that may differ between arms, or request_failed; a note says so.
    """
    check_allowed(allow, (*CONDITIONS, ATTRIBUTES, FAILED))
    groups: dict[tuple[str, str], dict[str, Side]] = {}
    for side in [(run, task) for run in runs for task in run.tasks]:
        task = side[1]
        if not task.names_concepts:
            continue
        identity = task.identity
        if identity["variant"] in ARMS and identity["parent"] == "gold" and identity["level"] in ("coarse", "fine"):
            arms = groups.setdefault((identity["dataset"], identity["level"]), {})
            name = ARMS[identity["variant"]]
            if name in arms:
                raise ResultsError(f"{task.name} is in more than one of the results; give one run of each task")
            arms[name] = side
    found = [_gap(dataset, level, arms, allow, seed) for (dataset, level), arms in sorted(groups.items()) if "image" in arms]
    if not found:
        raise ResultsError("no direct coarse or fine task among the results; the gap is measured against the image arm")
    return found


def _gap(dataset: str, level: str, sides: Mapping[str, Side], allow: Collection[str], seed: int) -> Gap:
    differing = _require_comparable(sides, allow)
    arms = {name: task for name, (_, task) in sides.items()}
    samples = {name: {s.record["id"]: s for s in task.samples} for name, task in arms.items()}
    ids = list(samples["image"])
    concept_of = [str(samples["image"][i].record["concept_id"]) for i in ids]
    scores = {
        metric: {name: np.array([found[i].score(metric) for i in ids]) for name, found in samples.items()}
        for metric in NAMING_SCORES
    }
    concepts = Clusters.of(concept_of)
    resample = Bootstrap(concepts, seed)
    em = scores["em"]
    order = [name for name in ARMS.values() if name in arms]
    made = tuple(Arm(name, *(resample.mean(scores[metric][name]) for metric in NAMING_SCORES)) for name in order)
    groups = Clusters.of([str(samples["image"][i].record["coarse"][0]) for i in ids])
    has_text = "text" in arms
    by_concept = _means(concepts, em["text"], em["image"]) if has_text else {}
    return Gap(
        dataset=dataset,
        level=level,
        documents=len(ids),
        concepts=len(concepts),
        arms=made,
        differences={name: resample.mean(em[name] - em["image"]) for name in order if name != "image"},
        knows_sees=_knows_sees(em["text"], em["image"], resample) if has_text else {},
        by_coarse={name: t - i for name, (t, i) in _means(groups, em["text"], em["image"]).items()} if has_text else {},
        by_concept=by_concept,
        widest=tuple(sorted(((k, t - i) for k, (t, i) in by_concept.items()), key=lambda item: (-item[1], item[0]))),
        notes=_notes(dataset, arms, differing),
    )


def _require_comparable(sides: Mapping[str, Side], allow: Collection[str]) -> list[str]:
    """All arms from the same model, on the same documents, prompts and data; returns what is allowed to differ and does."""
    require_answered([task for _, task in sides.values()], allow, [FAILED])
    differing = set()
    for side in sides.values():
        differing |= require_alike_but(side, sides["image"], CONDITIONS, allow)
        require_same_documents(side[1], sides["image"][1])
    telling = [side for side in sides.values() if side[1].identity.get("attributes_fingerprint")]
    for side in telling[1:]:
        differing |= require_alike_but(side, telling[0], {ATTRIBUTES: of_identity("attributes_fingerprint")}, allow)
    return sorted(differing)


def _knows_sees(text: Floats, image: Floats, resample: Bootstrap) -> dict[str, Estimate]:
    cells = {
        "yes_yes": text * image,
        "yes_no": text * (1 - image),
        "no_yes": (1 - text) * image,
        "no_no": (1 - text) * (1 - image),
    }
    return {name: resample.mean(values) for name, values in cells.items()}


def _means(clusters: Clusters, text: Floats, image: Floats) -> dict[str, tuple[float, float]]:
    pairs = zip(clusters.means(text), clusters.means(image), strict=True)
    return {name: (float(of_text), float(of_image)) for name, (of_text, of_image) in zip(clusters.names, pairs, strict=True)}


def _notes(dataset: str, arms: Mapping[str, TaskRun], differing: Sequence[str]) -> tuple[str, ...]:
    notes = [f"compared although {', '.join(differing)} differ between the arms"] if differing else []
    if get_reader(dataset).has_ranks and "text" in arms:
        notes.append("the text arm tells the ranks down to genus, the image arm does not: part of the difference is theirs")
    if "text" in arms and "parent_only" not in arms:
        notes.append("without the parent_only arm, what guessing from the parent gives is not known")
    for name, task in arms.items():
        if failed := task.unanswered.get(FAILED, 0):
            notes.append(f"{name}: {failed} requests were not answered by the backend and count as wrong")
    if any(task.identity.get("data_partial") for task in arms.values()):
        notes.append("from a partial copy of the dataset")
    return tuple(notes)
