"""The finer command as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from tests import official


def test_prepare_prints_a_table_and_tasks_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official.cub(tmp_path / "CUB_200_2011")
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial"]) == 0
    printed = capsys.readouterr().out
    assert "fingerprint" in printed
    assert "CUB-200-2011" in printed
    assert main(["tasks", "--json"]) == 0
    tasks = {task["name"]: task for task in json.loads(capsys.readouterr().out)}
    assert tasks["finer_cub_fine"]["data"] == "partial"
    assert tasks["finer_dogs_fine"]["data"] == "not prepared"
    assert tasks["finer_mini_fine"]["data"] == "built in"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "cub"], "give the folder of the dataset with --root"),
        (["prepare", "cub", "--root", "/nonexistent"], "is not a folder"),
        (["prepare", "cub", "--root", "/", "--splits", "dev"], "--splits dev"),
        (["prepare", "cars", "--download"], "car_devkit.tgz"),
        (["doctor", "cub"], "finer prepare cub --root FOLDER"),
        (["results", "/nonexistent"], "no *_results.json below it"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("finer: ")
    assert message in error
    assert "Traceback" not in error


def test_help_says_where_every_dataset_comes_from_and_under_which_terms() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finer_tasks.cli.main", "prepare", "--help"], capture_output=True, text=True, check=True
    )
    for needed in (
        "CUB_200_2011.tgz",
        "non-commercial",
        "dl.allaboutbirds.org",
        "cars_test_annos_withlabels.mat",
        "val.tar.gz",
    ):
        assert needed in done.stdout


def test_the_command_and_the_scorers_start_without_torch_or_lmms_eval() -> None:
    script = (
        "import sys, finer_tasks.cli.main, finer_tasks.replies, finer_tasks.scoring.classification, finer_tasks.scoring.strict;"
        "import finer_tasks.datasets.record; "
        "print([m for m in ('torch', 'lmms_eval', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
