"""Mistakes in the command line of lmms-eval, which would print a traceback and exit with 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import data_dir
from tests import official
from tests.e2e.commands import lmms_eval


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        ("finer-mini", "finer_dogs_fine", "Run: finer prepare dogs --root FOLDER"),
        pytest.param("finer-mini", "finer_cub_fine_text", "finer attributes import cub", marks=pytest.mark.slow),
        pytest.param("finer-mni", "finer_cub_fine", "pretrained=finer-mni cannot be loaded", marks=pytest.mark.slow),
    ],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2(model: str, task: str, message: str, tmp_path: Path) -> None:
    prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    done = lmms_eval("--model", "finer_hf", "--model_args", f"pretrained={model}", "--tasks", task, data=data_dir())
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
