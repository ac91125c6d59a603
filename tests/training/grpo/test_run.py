"""Runs by rewards from beginning to end: what they leave, what they train, and that they go on as if nothing had stopped them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from finer_tasks.cli.main import main
from finer_tasks.models.loading import LoadOptions, load_model
from finer_tasks.retention.states import states_of_run
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.grpo.train import dry_run_grpo, make_trainer, prepare
from finer_tasks.training.grpo.trainer import GrpoRunTrainer
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.run_folder import checkpoints
from tests.training.grpo.test_questions import recipe_for
from tests.training.small_runs import losses, record, same_weights, weights
from tests.training.tiny_models import BUILDERS, save

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
# Answers drawn this hot differ, so that a group has something to tell apart.
SMALL = (
    "lora.rank=4", "temperature=1.7", "group_size=4", "max_new_tokens=8", "global_batch_size=8", "micro_batch_size=4",
    "max_steps=4", "save_every=2", "keep=3", "log_every=3",
)  # fmt: skip


def arguments(mixture: Path, output: Path, *more: str) -> list[str]:
    """Of the finer command."""
    return ["train", "mini-grpo", f"mixture={mixture}", f"output={output}", *SMALL, *more]


@pytest.fixture(scope="module")
def rewarded(mixture: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that nothing stopped."""
    folder = tmp_path_factory.mktemp("rewarded") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        assert main(arguments(mixture, folder)) == 0
    return folder


def test_a_run_leaves_what_a_supervised_one_leaves_and_its_rewards(mixture: Path, rewarded: Path) -> None:
    found, progress = record(rewarded), json.loads((rewarded / "checkpoint-4/progress.json").read_text())
    assert found["recipe"]["method"] == "grpo"
    assert found["mixture"]["hash"] == json.loads((mixture / "card.json").read_text())["hash"]
    assert (found["questions"], found["prompt_set"], found["steps"]) == (64, "finer-1", 4)
    assert {"trl", "transformers", "peft"} <= found["versions"].keys()
    rewards = progress["rewards"]
    assert len(rewards) == len(losses(rewarded, 4)) == 4
    assert found["mean_reward"] == pytest.approx(sum(rewards) / 4)
    assert found["reward"] == [{"step": 3, "reward": pytest.approx(sum(rewards[:3]) / 3)}]
    assert all(reward * 8 == int(reward * 8) for reward in rewards)  # 8 short answers, each worth 0 or 1
    assert found["tokens"] > 4 * 8 * 64  # the tokens of 32 images, and of the words beside them
    card = (rewarded / "README.md").read_text()
    assert f"mean reward {found['mean_reward']:.4f}" in card
    assert [state.name for state in states_of_run(rewarded)] == ["before", "checkpoint-2", "after"]
    load_model(LoadOptions("finer-mini", peft=str(rewarded)), torch.device("cpu"))


def test_gradients_touch_the_lora_weights_and_nothing_else(mixture: Path, mini_data: Path, tmp_path: Path) -> None:
    setup = prepare(recipe_for(mixture, tmp_path / "o", *SMALL))
    trainer = make_trainer(setup, Progress())
    before = {name: value.detach().clone() for name, value in trainer.wrapped.named_parameters()}
    trainer.train()
    changed = {name for name, value in trainer.wrapped.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(".language_model." in name and ".lora_" in name for name in changed)
    fresh = load_model(LoadOptions("finer-mini"), torch.device("cpu")).state_dict()
    kept = {name.removeprefix("base_model.model.").replace(".base_layer", ""): value for name, value in before.items()}
    assert all(torch.equal(value, fresh[name]) for name, value in kept.items() if name in fresh)
    assert len(fresh.keys() & kept.keys()) > 100


def test_a_killed_run_ends_as_an_unbroken_one_and_another_seed_does_not(
    mixture: Path, rewarded: Path, mini_data: Path, tmp_path: Path
) -> None:
    same = arguments(mixture, tmp_path / "o")
    command = [sys.executable, "-m", "tests.training.killed", *same]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [path.name for path in checkpoints(tmp_path / "o")] == ["checkpoint-2"]
    assert main(same) == 0
    assert same_weights(rewarded, tmp_path / "o")
    assert losses(rewarded, 4) == losses(tmp_path / "o", 4)
    for key in ("reward", "mean_reward", "loss", "tokens"):
        assert record(rewarded)[key] == record(tmp_path / "o")[key]
    assert main(arguments(mixture, tmp_path / "other", "seed=1")) == 0
    assert weights(tmp_path / "other").keys() == weights(rewarded).keys()
    assert not same_weights(rewarded, tmp_path / "other")


def test_a_signal_waits_until_all_answers_are_learned_from(
    mixture: Path, mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["iterations=2", "beta=0.1", "projector=train", f"encoder_cache={tmp_path / 'cache'}"]
    assert main(arguments(mixture, tmp_path / "whole", *more)) == 0
    step = GrpoRunTrainer.training_step

    def signalled(trainer: GrpoRunTrainer, *given: Any) -> Any:
        if trainer.state.global_step == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(trainer, *given)

    with monkeypatch.context() as patch:
        patch.setattr(GrpoRunTrainer, "training_step", signalled)
        assert main(arguments(mixture, tmp_path / "o", *more)) == 128 + signal.SIGTERM
    assert "stopped at step 2 with a checkpoint" in capsys.readouterr().out
    assert main(arguments(mixture, tmp_path / "o", *more)) == 0
    assert same_weights(tmp_path / "whole", tmp_path / "o")
    assert any("multi_modal_projector" in name for name in weights(tmp_path / "o"))
    rewards = json.loads((tmp_path / "o/checkpoint-4/progress.json").read_text())["rewards"]
    assert rewards[0] == rewards[1]  # of the same answers
    assert rewards[2] == rewards[3]


def test_two_processes_draw_answers_of_their_own_and_train_one_adapter(mixture: Path, mini_data: Path, tmp_path: Path) -> None:
    torchrun, finer = (str(Path(sys.executable).with_name(name)) for name in ("torchrun", "finer"))
    launcher = [torchrun, "--standalone", "--nproc_per_node", "2", "--no-python", finer]
    done = subprocess.run([*launcher, *arguments(mixture, tmp_path / "o")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert record(tmp_path / "o")["steps"] == 4
    assert record(tmp_path / "o")["tokens"] > 4 * 8 * 64


@pytest.mark.parametrize("name", BUILDERS)
def test_an_architecture_learns_from_its_answers_or_is_refused_by_name(
    name: str, mixture: Path, mini_data: Path, tmp_path: Path
) -> None:
    save(name, tmp_path / "model")
    more = (f"model={tmp_path / 'model'}", "group_size=2", "max_new_tokens=4", "global_batch_size=4", "micro_batch_size=2")
    recipe = recipe_for(mixture, tmp_path / "o", *more)
    if name in ("blip-2", "instructblip"):
        with pytest.raises(TrainingError, match="model has no chat template"):
            dry_run_grpo(recipe)
    else:
        assert dry_run_grpo(recipe)["trained_parameters"] > 0


def test_a_dry_run_takes_a_step_and_leaves_nothing(
    mixture: Path, mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(mixture, tmp_path / "o"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "questions: 64" in printed
    assert "reward of the first step: " in printed
    assert not (tmp_path / "o").exists()
