"""`finer train`: its record, its mistakes, several processes, and evaluation on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finer_tasks.cli.main import main
from finer_tasks.errors import NotPreparedError
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.recipe import Evaluation, TrainRecipe
from finer_tasks.training.tuning.setup import prepare_run
from finer_tasks.training.tuning.train import explained
from tests.training.small_runs import arguments, losses, record, same_weights, weights


def test_a_record_of_the_run_is_left(mixture: Path, unbroken: Path) -> None:
    assert record(unbroken)["mixture"]["hash"] == json.loads((mixture / "card.json").read_text())["hash"]
    assert json.loads((unbroken / "adapter_config.json").read_text())["base_model_name_or_path"] == "finer-mini"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("learning_rat=1", "Did you mean 'learning_rate'?"),
        ("max_length=100", "are longer than max_length=100"),
        ("fsdp=true", "fsdp=true needs GPUs"),
    ],
)
def test_mistakes_end_with_one_message(
    given: str, message: str, mixture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if given == "fsdp=true" and torch.accelerator.is_available():
        pytest.skip("an accelerator is there")
    assert main(arguments(mixture, tmp_path / "o", given)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "o").exists()


def test_a_dry_run_checks_everything_and_leaves_nothing(
    mixture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(mixture, tmp_path / "o", "--dry-run")) == 0
    assert "loss of the longest batch: " in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


def test_two_processes_train_as_one(mixture: Path, unbroken: Path, tmp_path: Path) -> None:
    torchrun, finer = (str(Path(sys.executable).with_name(name)) for name in ("torchrun", "finer"))
    launcher = [torchrun, "--standalone", "--nproc_per_node", "2", "--no-python", finer]
    command = [*launcher, *arguments(mixture, tmp_path / "o", "workers=0")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert losses(tmp_path / "o") == pytest.approx(losses(unbroken), abs=2e-3)
    one, two = weights(unbroken), weights(tmp_path / "o")
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


@pytest.mark.slow
def test_evaluation_on_the_way_changes_nothing_in_any_bit(mixture: Path, mini_data: Path, tmp_path: Path) -> None:
    # dropout draws from the generator that lmms-eval seeds
    more = ["max_steps=3", "save_every=3", "log_every=1", "lora.dropout=0.2", "dtype=bfloat16"]
    assert main(arguments(mixture, tmp_path / "plain", *more)) == 0
    tasks = "evaluation={tasks: [finer_mini_superordinate, finer_mini_fine], every: 2, documents: 8}"
    assert main(arguments(mixture, tmp_path / "with", *more, tasks)) == 0
    found = record(tmp_path / "with")["evaluations"]
    assert sorted(found) == ["2", "3"]  # every second step, and the end
    scores = {f"finer_mini_{level}_{score}" for level in ("superordinate", "fine") for score in ("em", "em_strict")}
    assert set(found["3"]) == scores
    assert all(value * 8 == int(value * 8) for value in found["3"].values())
    assert f"| finer_mini_fine_em | {found['3']['finer_mini_fine_em']:.3f} |" in (tmp_path / "with/README.md").read_text()
    assert losses(tmp_path / "with", 3) == losses(tmp_path / "plain", 3)
    assert same_weights(tmp_path / "with", tmp_path / "plain")


def test_evaluations_that_cannot_be_done_are_refused_before_the_model_is_loaded(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe("no-such-model", mixture, tmp_path / "o")
    with pytest.raises(TrainingError, match=r"did you mean finer_mini_fine\?"):
        prepare_run(replace(recipe, evaluation=Evaluation(("finer_mini_fin",))))
    with pytest.raises(NotPreparedError, match="finer prepare cub"):
        prepare_run(replace(recipe, evaluation=Evaluation(("finer_cub_fine",))))


def test_running_out_of_memory_names_the_knobs(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe("finer-mini", mixture, tmp_path, micro_batch_size=32)
    for error in (torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(TrainingError, match=r"micro_batch_size=32.*Lower micro_batch_size first"), explained(recipe):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), explained(recipe):
        raise RuntimeError("shapes do not fit")
