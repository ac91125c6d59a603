"""Runs that are killed, told to stop, or run out of disk: what is left, and that they go on as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.training.tuning.run_folder import checkpoints
from finer_tasks.training.tuning.trainer import FinerTrainer
from tests.faults import full_disk
from tests.training.small_runs import arguments, losses, record, same_weights

ROOT = Path(__file__).resolve().parents[2]


def test_a_killed_run_ends_as_an_unbroken_one_with_the_losses_of_all_its_steps(
    mixture: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = arguments(mixture, tmp_path / "o", "workers=1")
    command = [sys.executable, "-m", "tests.training.killed", *same]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [path.name for path in checkpoints(tmp_path / "o")] == ["checkpoint-2"]
    assert not (tmp_path / "o/training.json").exists()
    assert main(same) == 0
    first, second = record(unbroken), record(tmp_path / "o")
    assert f"mean loss {first['mean_loss']:.4f}" in capsys.readouterr().out
    assert same_weights(unbroken, tmp_path / "o")
    assert losses(unbroken) == losses(tmp_path / "o")
    assert [entry["step"] for entry in first["loss"]] == [4]
    for key in ("loss", "mean_loss", "steps"):
        assert first[key] == second[key]
    assert main(same) == 2
    assert "holds a finished run" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_from_which_the_run_goes_on(
    number: signal.Signals,
    mixture: Path,
    unbroken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, step = signal.getsignal(number), FinerTrainer.training_step

    def signalled(trainer: FinerTrainer, *given: Any) -> Any:
        if trainer.state.global_step == 2:
            os.kill(os.getpid(), number)
        return step(trainer, *given)

    monkeypatch.setattr(FinerTrainer, "training_step", signalled)
    same = arguments(mixture, tmp_path / "o", "save_every=1000")
    assert main(same) == 128 + number
    assert "stopped at step 3 with a checkpoint" in capsys.readouterr().out
    assert [path.name for path in checkpoints(tmp_path / "o")] == ["checkpoint-3"]
    assert signal.getsignal(number) == before
    monkeypatch.undo()
    assert main(same) == 0
    assert record(tmp_path / "o")["steps"] == 6
    assert same_weights(unbroken, tmp_path / "o")


def test_a_full_disk_keeps_the_last_good_checkpoint(
    mixture: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o").mkdir()
    shutil.copy(unbroken / "run.json", tmp_path / "o")
    shutil.copytree(unbroken / "checkpoint-2", tmp_path / "o/checkpoint-2")
    with full_disk(50_000):
        assert main(arguments(mixture, tmp_path / "o")) == 2
    told = capsys.readouterr().err
    assert "the checkpoint of step 4 could not be written" in told
    assert f"The last good checkpoint is {tmp_path}/o/checkpoint-2" in told
    assert "Traceback" not in told
    assert [path.name for path in checkpoints(tmp_path / "o")] == ["checkpoint-2"]


def test_a_loss_that_is_no_number_ends_the_run(mixture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    much = ("learning_rate=1e30", "projector_learning_rate=1e30", "max_grad_norm=1e30", "log_every=1")
    before = signal.getsignal(signal.SIGTERM)
    assert main(arguments(mixture, tmp_path / "o", *much)) == 2
    told = capsys.readouterr().err
    assert "is not a number at step" in told
    assert "Lower learning_rate" in told
    assert signal.getsignal(signal.SIGTERM) == before
