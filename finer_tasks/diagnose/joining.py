"""From runs and a probe to the evidence on each level of a dataset; what is not comparable is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.record import LEVELS, accepted_labels, labels_at
from finer_tasks.diagnose.evidence import NO_CHOICES, Evidence, Stage, answered, stage_of
from finer_tasks.diagnose.probed import probed, require_same_origin
from finer_tasks.errors import NotPreparedError, ResultsError
from finer_tasks.probe.results import Level, Summary, read_probe
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.runs.comparing import Conditions, Side, of_identity, require_alike_but, require_same_documents
from finer_tasks.runs.reading import Run
from finer_tasks.runs.samples import Sample
from finer_tasks.scoring.classification import exact_match
from finer_tasks.statistics.clusters import Clusters, Floats

ARMS = {"direct": "open", "closed": "closed", "text": "text", "attributes": "attributes"}
_ALIKE: Conditions = {
    "model": lambda side: side[0].model,
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "data": of_identity("data_fingerprint", "data_source"),
    "scoring": of_identity("scoring"),
}
_Arms = Mapping[str, Side]


def join(runs: Sequence[Run], probe: Path | None = None, allow: Collection[str] = ()) -> list[Evidence]:
    """The evidence of every dataset and level that has a direct task or a closed set; raises ResultsError or ProbeError."""
    check_allowed(allow, (*_ALIKE, FAILED))
    groups: dict[tuple[str, Level], dict[str, Side]] = {}
    for side in [(run, task) for run in runs for task in run.tasks]:
        identity = side[1].identity
        level, variant = identity["level"], identity["variant"]
        if variant not in ARMS or identity["parent"] != ("none" if level == LEVELS[0] else "gold"):
            continue
        arms = groups.setdefault((identity["dataset"], level), {})
        if ARMS[variant] in arms:
            raise ResultsError(f"{side[1].name} is in more than one of the results; give one run of each task")
        arms[ARMS[variant]] = side
    answering = {key: arms for key, arms in groups.items() if {"open", "closed"} & set(arms)}
    if not answering:
        raise ResultsError(
            "no direct task and no closed set among the results; run `finer diagnose --pretrained … --dataset …`"
        )
    summary = read_probe(probe) if probe else None
    if summary and summary.dataset not in {dataset for dataset, _ in answering}:
        raise ResultsError(
            f"{probe} is of {summary.dataset}, the runs are of {', '.join(sorted({one for one, _ in answering}))}"
        )
    order = sorted(answering, key=lambda key: (key[0], -LEVELS.index(key[1])))
    return [_evidence(*key, answering[key], probe, summary, allow) for key in order]


def _evidence(
    dataset: str, level: Level, arms: _Arms, probe: Path | None, summary: Summary | None, allow: Collection[str]
) -> Evidence:
    first = arms.get("open") or arms["closed"]
    has_probe = probe is not None and summary is not None and summary.dataset == dataset and level in summary.levels
    notes = _require_comparable(arms, first, allow)
    if probe and summary and has_probe:
        notes += require_same_origin(probe, summary, first, allow)
    samples = {name: {str(s.record["id"]): s for s in side[1].samples} for name, side in arms.items()}
    documents = list(first[1].samples)
    ids = tuple(str(sample.record["id"]) for sample in documents)
    concepts = Clusters.of([concept_at(sample.record, level) for sample in documents])
    told, choices = [_told(sample.record, level) for sample in documents], _choices(dataset, level)
    stages: dict[str, Stage] = {}
    equal_width: dict[str, Floats] = {}
    shuffled: dict[str, Stage] = {}
    if probe and summary and has_probe:
        stages, equal_width, shuffled = probed(probe, summary, level, ids, concepts)
    if "closed" in arms:
        stages["closed"] = _closed([samples["closed"][i] for i in ids], concepts, told, choices)
    naming = {
        name: _named([samples[name][i] for i in ids], documents, level, concepts, told, choices, name)
        for name in ("open", "text")
        if name in arms
    }
    if "open" in naming:
        stages["open"] = naming["open"]
    lists = samples.get("attributes")
    return Evidence(
        dataset=dataset,
        level=level,
        ids=ids,
        concepts=concepts,
        names=_names(documents, level, concepts),
        stages=stages,
        equal_width=equal_width,
        shuffled=shuffled,
        text=naming.get("text"),
        attributes=concepts.means(np.array([lists[i].score("attr_f1") for i in ids])) if lists else None,
        told="" if level == LEVELS[0] else LEVELS[LEVELS.index(level) - 1],
        notes=tuple(notes),
    )


def _require_comparable(arms: _Arms, first: Side, allow: Collection[str]) -> list[str]:
    require_answered([task for _, task in arms.values()], allow, [FAILED])
    differing: set[str] = set()
    for side in arms.values():
        differing |= require_alike_but(side, first, _ALIKE, allow)
        require_same_documents(side[1], first[1])
    notes = [f"joined although {', '.join(sorted(differing))} differ"] if differing else []
    return notes + [f"{task.name}: on {task.part} only" for _, task in [first] if task.part]


def concept_at(record: Mapping[str, Any], level: str) -> str:
    """What counts as one concept at a level: the fine concept's id, or the first label above."""
    return str(record["concept_id"] if level == "fine" else labels_at(record, level)[0])


def _told(record: Mapping[str, Any], level: str) -> str:
    """The label one level up, which the question tells."""
    place = LEVELS.index(level)
    return labels_at(record, LEVELS[place - 1])[0] if place else ""


def _firsts(concepts: Clusters) -> list[int]:
    return [int(place) for place in np.unique(concepts.index, return_index=True)[1]]


def _names(documents: Sequence[Sample], level: str, concepts: Clusters) -> tuple[str, ...]:
    return tuple(labels_at(documents[place].record, level)[0] for place in _firsts(concepts))


def _choices(dataset: str, level: str) -> Mapping[str, int]:
    """How many concepts of the dataset fit each label that questions tell; nothing where only the prepared data say it."""
    try:
        everything = concepts_of(dataset)
    except NotPreparedError:
        return NO_CHOICES
    fitting: dict[str, set[str]] = {}
    for concept in everything:
        record = vars(concept)
        fitting.setdefault(_told(record, level), set()).add(concept_at(record, level))
    return {label: len(found) for label, found in fitting.items()}


def _closed(samples: Sequence[Sample], concepts: Clusters, told: Sequence[str], choices: Mapping[str, int]) -> Stage:
    """The choice by the likelihood of whole names; by that of their mean token where the backend gives no other."""
    kind = "sum" if all("closed_top1_sum" in sample.items for sample in samples) else "norm"
    chosen = [sample.items[f"closed_top1_{kind}"].get("top") or [[""]] for sample in samples]
    return stage_of(
        concepts, [str(top[0][0]) for top in chosen], told, f"first of all names by {kind} of log-likelihoods", choices
    )


def _named(
    samples: Sequence[Sample], documents: Sequence[Sample], level: str, concepts: Clusters, told: Sequence[str],
    choices: Mapping[str, int], arm: str,
) -> Stage:  # fmt: skip
    labels: list[dict[str, None]] = [{} for _ in concepts.names]
    for sample, concept in zip(documents, concepts.index.tolist(), strict=True):
        labels[concept] |= dict.fromkeys(accepted_labels(sample.record, level))
    accepted = [list(one) for one in labels]
    return answered(
        concepts,
        np.array([sample.score("em") for sample in samples]),
        [sample.answer for sample in samples],
        told,
        lambda answer, concept: exact_match(answer, accepted[concept]) == 1.0,
        "em of the answer to the question" + (" that tells the attributes and shows no image" if arm == "text" else ""),
        choices,
    )
