"""No prompt changes unnoticed; see tests/tasks/golden for how to write the files again."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.registry import DATASETS, get_reader
from tests.tasks.golden.render import GOLDEN, prepare_small, snapshot


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_task_asks_what_it_did(dataset: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if get_reader(dataset).built_in:
        request.getfixturevalue("mini_data")  # prepared once
    prepare_small(dataset, tmp_path)
    written = (GOLDEN / f"{dataset}.txt").read_text(encoding="utf-8")
    assert snapshot(dataset) == written, "A prompt has changed. If that is meant: python -m tests.tasks.golden"
