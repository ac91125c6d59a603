"""Shards made by lmms-eval's --offset and --limit, merged, are what lmms-eval makes of all documents at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.runs.merging import merge
from finer_tasks.runs.reading import read_run
from tests.e2e.evaluating import evaluate

pytestmark = pytest.mark.slow
TASKS = ["finer_mini_superordinate", "finer_mini_fine_closed"]


def test_a_merged_run_is_the_run_in_one_piece(mini_data: Path, tmp_path: Path) -> None:
    whole = evaluate(TASKS, tmp_path / "whole", batch_size=32)
    for offset in (0, 200, 400):
        evaluate(TASKS, tmp_path / f"shards/{offset}", batch_size=32, offset=offset, limit=200 if offset < 400 else 240)
    assert merge([tmp_path / "shards"], tmp_path / "merged") == []
    merged = read_run(tmp_path / "merged")
    one, other = (json.loads(run.path.read_text()) for run in (whole, merged))
    for name in TASKS:
        assert one["results"][name].keys() == other["results"][name].keys()
        for key, value in one["results"][name].items():
            assert other["results"][name][key] == (pytest.approx(value) if isinstance(value, float) else value), key
    for part in ("task_hashes", "n-samples", "versions", "n-shot", "higher_is_better"):
        assert other[part] == one[part]
    told = merged.tasks[0].identity
    assert told.pop("merged") == {"shards": 3, "compared_with_data": True}
    assert told == whole.tasks[0].identity
    assert told["weights"]
    assert told["backend"]["dtype"] == "float32"
