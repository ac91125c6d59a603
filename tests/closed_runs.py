"""Runs of closed sets as lmms-eval writes them, with choices made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.record import LEVELS
from finer_tasks.scoring.candidates import candidates_of
from finer_tasks.scoring.closed import KINDS, Ranking, closed_items, rank_concepts, right_concepts
from tests.simulated import IDENTITY

# A concept of the level with its probability; all others share the rest.
Choice = tuple[str, float]


def documents(concepts: Sequence[str]) -> list[dict[str, Any]]:
    """One document of mini a concept, which may come again."""
    known = {concept.concept_id: concept for concept in concepts_of("mini")}
    found = [(f"mini/test/{number}", known[name]) for number, name in enumerate(concepts)]
    return [
        {"id": name, "superordinate": one.superordinate, "coarse": list(one.coarse), "fine": list(one.fine),
         "concept_id": one.concept_id, "class_id": one.concept_id} for name, one in found
    ]  # fmt: skip


def chosen(document: Mapping[str, Any], level: str, choice: Choice) -> Ranking:
    """The ranking in which a concept has this probability."""
    candidates = candidates_of("mini", level)
    concept, probability = choice
    others = (1 - probability) / (len(candidates.keys) - 1)
    scores = np.log([probability if key == concept else others for key in candidates.keys])
    return rank_concepts(scores, candidates, right_concepts(document, level))


def write_closed_run(
    folder: Path, concepts: Sequence[str], choices: Mapping[str, Sequence[Choice | None]], kinds: Sequence[str] = KINDS
) -> Path:
    """A run of one task for each level of `choices`; a document whose choice is None had a corrupt image."""
    folder.mkdir(parents=True)
    configs = {}
    for level in (level for level in LEVELS if level in choices):
        lines = []
        for number, (document, choice) in enumerate(zip(documents(concepts), choices[level], strict=True)):
            found = choice and dict.fromkeys(kinds, chosen(document, level, choice))
            items = closed_items(document, level, found, None if found else "corrupt_image", kinds)
            lines.append({"doc_id": number, "filtered_resps": [""], "input": f"Which {level}?", **items})
        task = f"finer_mini_{level}_closed"
        (folder / f"r_samples_{task}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        parent = "none" if level == LEVELS[0] else "gold"
        identity = IDENTITY | {"dataset": "mini", "level": level, "variant": "closed", "parent": parent, "scoring": "2"}
        configs[task] = {"metadata": {"finer": identity}}
    counts = {"original": len(concepts), "effective": len(concepts)}
    results = {
        "configs": configs, "n-samples": dict.fromkeys(configs, counts), "config": {"model": "m", "model_args": ""},
        "lmms_eval_version": "0.7.3", "date": 1.0,
    }  # fmt: skip
    (folder / "r_results.json").write_text(json.dumps(results))
    return folder
