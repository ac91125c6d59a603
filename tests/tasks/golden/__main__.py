"""Writes the golden prompts again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from finer_tasks.datasets.registry import DATASETS
from tests.tasks.golden.render import GOLDEN, prepare_small, snapshot

with tempfile.TemporaryDirectory() as folder:
    os.environ["FINER_DATA_DIR"] = f"{folder}/data"
    os.environ.pop("FINER_PROMPTS", None)
    for dataset in DATASETS:
        prepare_small(dataset, Path(folder))
        (GOLDEN / f"{dataset}.txt").write_text(snapshot(dataset), encoding="utf-8")
