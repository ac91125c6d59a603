"""Two simulated checkpoints on clustered documents, and runs on disk in lmms-eval's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.replies import no_answer
from finer_tasks.scoring.judge import score_items
from finer_tasks.scoring.strict import StrictScore

IDENTITY = {
    "dataset": "cub", "level": "fine", "variant": "direct", "parent": "gold", "prompt_set": "finer-1", "prompt_hash": "aa",
    "data_fingerprint": "ff", "data_partial": False, "data_source": "CUB", "scoring": "1", "finer_version": "0.1.0",
}  # fmt: skip


def sizes_of(kind: str, concepts: int, documents: int) -> np.ndarray:
    """Documents of each concept: equal, by Zipf's law, or one concept as large as all others together."""
    weights = {
        "equal": np.ones(concepts),
        "zipf": 1 / np.arange(1, concepts + 1),
        "one big": np.r_[float(concepts), np.ones(concepts - 1)],
    }[kind]
    return np.maximum(1, np.round(weights / weights.sum() * documents)).astype(int)


def scores(
    rng: np.random.Generator, sizes: np.ndarray, drop: float, spread: float = 0.1
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """0/1 scores of baseline and candidate and each document's concept, for concepts of these sizes.

    A concept's accuracy is drawn, and the candidate's differs from it by a drawn shift of this spread
    with mean -drop: documents of a concept get better or worse together. Nine answers of ten are
    decided by one draw for both, as between two checkpoints of one model.
    """
    level = rng.uniform(0.3, 0.7, len(sizes))
    shift = rng.uniform(-spread, spread, len(sizes)) - drop
    before, after = np.repeat(level, sizes), np.repeat(level + shift, sizes)
    draws = rng.random((2, int(sizes.sum())))
    draws[1] = np.where(rng.random(draws.shape[1]) < 0.9, draws[0], draws[1])
    names = [str(number) for number in np.repeat(np.arange(len(sizes)), sizes)]
    return (draws[0] < before).astype(float), (draws[1] < after).astype(float), names


def write_run(
    folder: Path,
    right: Sequence[float],
    concepts: Sequence[str],
    task: str = "finer_cub_fine",
    model: str = "m",
    identity: dict[str, Any] | None = None,
    answer: str = "Answer: x",
    offset: int = 0,
    of: int | None = None,
) -> Path:
    """A results and a samples file as lmms-eval writes them, of the documents from `offset` on of a split of `of`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (score, concept) in enumerate(zip(right, concepts, strict=True), start=offset):
        record = {"id": f"cub/test/{number}", "superordinate": "Bird", "coarse": ["Gull"], "fine": [concept],
                  "concept_id": concept, "class_id": concept}  # fmt: skip
        reason = no_answer([answer]) or ("right" if score else "wrong_sibling")
        strict = StrictScore(bool(score), reason, (), 0, None)
        items = score_items(float(score), float(score), strict, concept)
        items["em_strict"] |= {"level": "fine", "record": record}
        lines.append({"doc_id": number, "filtered_resps": answer, "input": "Which?", **items})
    stem = "20260101_000000"
    (folder / f"{stem}_samples_{task}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = {
        "configs": {task: {"metadata": {"finer": identity or IDENTITY}, "generation_kwargs": {"do_sample": False}}},
        "n-samples": {task: {"original": of or len(lines), "effective": len(lines)}},
        "config": {"model": model, "model_args": "", "limit": len(lines), "offset": offset},
        "lmms_eval_version": "0.7.3",
    }
    (folder / f"{stem}_results.json").write_text(json.dumps(results))
    return folder
