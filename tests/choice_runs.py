"""Runs of multiple choice as lmms-eval writes them, with answers made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.options.choosing import Options, options_of
from finer_tasks.options.settings import DEFAULT, recorded
from finer_tasks.scoring.multiple_choice import choice_items, likelihood_items, pack
from tests.simulated import IDENTITY

# From a document's number and its options to the reply.
Answer = Callable[[int, Options], str]


def write_choice_run(
    folder: Path, answers: Mapping[str, Answer], documents: int = 64, choices: Mapping[str, Any] | None = None
) -> Path:
    """A run of _mc on mini with a task for each level of `answers`; a reply of None stands for a corrupt image."""
    folder.mkdir(parents=True)
    table = load_prepared("mini").tables()["test"]
    configs = {}
    for level, answer in answers.items():
        lines = []
        for number in range(0, len(table), len(table) // documents):
            doc = table[number]
            options = options_of(doc, level, DEFAULT)
            reply = answer(len(lines), options)
            items = choice_items(doc, [reply], level, options)
            lines.append({"doc_id": number, "filtered_resps": [reply], "input": f"Which? {options.names}", **items})
        configs[f"finer_mini_{level}_mc"] = _write(folder, f"finer_mini_{level}_mc", level, "mc", lines, choices)
    return _finish(folder, configs, len(lines))


def write_likelihood_run(folder: Path, favours: Callable[[int, Options], int], documents: int = 64) -> Path:
    """A run of _mc_likelihood on mini at fine level in which the option at a position is the most likely, by every score."""
    folder.mkdir(parents=True)
    table = load_prepared("mini").tables()["test"]
    lines = []
    for number in range(0, len(table), len(table) // documents):
        doc = table[number]
        options = options_of(doc, "fine", DEFAULT)
        scores = [-1.0 if place == favours(len(lines), options) else -2.0 for place in range(len(options.names))] * 2
        items = likelihood_items(doc, [pack(options, scores, scores)], "fine", options)
        lines.append({"doc_id": number, "filtered_resps": [""], "input": "Which?", **items})
    task = "finer_mini_fine_mc_likelihood"
    return _finish(folder, {task: _write(folder, task, "fine", "mc_likelihood", lines, None)}, len(lines))


def _write(
    folder: Path, task: str, level: str, variant: str, lines: Sequence[Any], choices: Mapping[str, Any] | None
) -> dict[str, Any]:
    (folder / f"r_samples_{task}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = {"dataset": "mini", "level": level, "variant": variant, "parent": "none", "scoring": "2"}
    return {"metadata": {"finer": IDENTITY | told | {"choices": dict(choices or recorded(DEFAULT))}}}


def _finish(folder: Path, configs: dict[str, Any], documents: int) -> Path:
    counts = {"original": documents, "effective": documents}
    results = {
        "configs": configs, "n-samples": dict.fromkeys(configs, counts), "config": {"model": "m", "model_args": ""},
        "lmms_eval_version": "0.7.3", "date": 1.0,
    }  # fmt: skip
    (folder / "r_results.json").write_text(json.dumps(results))
    return folder
