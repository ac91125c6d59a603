"""Fine-tuning through the real command: where the loss lies, resume after a kill, two processes, the adapter in use."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import load_from_disk
from safetensors.torch import load_file

from finer_tasks.errors import NotPreparedError
from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.training.errors import MixtureError, TrainingError
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.evaluation import spread_over
from finer_tasks.training.tuning.lengths import GroupedOrder, measure
from finer_tasks.training.tuning.recipe import Evaluation, TrainRecipe
from finer_tasks.training.tuning.setup import prepare_run
from finer_tasks.training.tuning.train import explained

SMALL = ["lora.rank=4", "max_steps=6", "global_batch_size=8", "micro_batch_size=4", "save_every=2", "log_every=1"]


def command(mixture: Path, output: Path, *more: str) -> list[str]:
    return [
        str(Path(sys.executable).with_name("finer")),
        "train",
        "mini-lora",
        f"mixture={mixture}",
        f"output={output}",
        *SMALL,
        *more,
    ]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def kill_after(arguments: list[str], checkpoint: Path) -> None:
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "adapter_model.safetensors")


def test_the_loss_lies_on_the_answers_and_nothing_else(mixture: Path) -> None:
    encoder = ConversationEncoder(load_processor(LoadOptions("finer-mini")), mixture / "images")
    rows = list(load_from_disk(str(mixture / "arrow")).select(range(4)))
    batch = encoder.check(rows)
    for index, row in enumerate(rows):
        wanted = [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]
        assert encoder.answers(batch, index) == wanted
    ends = (batch["labels"] == encoder.tokenizer.eos_token_id).sum(1)
    assert ends.tolist() == [3] * 4  # every answer teaches the model to stop


def record(output: Path) -> dict[str, Any]:
    return json.loads((output / "training.json").read_text())


def same_weights(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_killed_run_ends_as_an_unbroken_one_with_the_losses_of_all_its_steps(mixture: Path, tmp_path: Path) -> None:
    more = ["log_every=4", "workers=1"]
    unbroken = run(command(mixture, tmp_path / "a", *more))
    assert unbroken.returncode == 0, unbroken.stderr[-2000:]
    kill_after(command(mixture, tmp_path / "b", *more), tmp_path / "b/checkpoint-2")
    assert not (tmp_path / "b/training.json").exists()
    assert run(command(mixture, tmp_path / "b", *more)).returncode == 0
    assert same_weights(tmp_path / "a", tmp_path / "b")
    first, second = record(tmp_path / "a"), record(tmp_path / "b")
    assert [entry["step"] for entry in first["loss"]] == [4]
    for key in ("loss", "mean_loss", "steps"):
        assert first[key] == second[key]
    assert f"mean loss {first['mean_loss']:.4f}" in unbroken.stdout
    again = run(command(mixture, tmp_path / "b", *more))
    assert again.returncode == 2
    assert "holds a finished run" in again.stderr


def test_mistakes_end_with_one_message(mixture: Path, tmp_path: Path) -> None:
    typo = run(command(mixture, tmp_path / "o", "learning_rat=1"))
    assert (typo.returncode, "Did you mean 'learning_rate'?" in typo.stderr) == (2, True)
    long = run(command(mixture, tmp_path / "o", "max_length=100"))
    assert (long.returncode, "are longer than max_length=100" in long.stderr) == (2, True)
    assert "Traceback" not in typo.stderr + long.stderr
    sharded = run(command(mixture, tmp_path / "o", "fsdp=true"))
    assert (sharded.returncode, "fsdp=true needs GPUs" in sharded.stderr) == (2, True)
    assert not (tmp_path / "o").exists()


def test_the_order_depends_on_seed_and_epoch_alone_and_keeps_every_sample() -> None:
    lengths = list(range(103))
    order = GroupedOrder(lengths, 8, 0, True)
    first = list(order)
    assert first == list(order)
    assert sorted(first) == lengths
    assert first[0] == 102
    order.set_epoch(1)
    assert list(order) != first


def test_the_longest_conversation_comes_in_the_first_batch_whatever_is_left_over() -> None:
    for size in (7, 8, 9, 401, 403, 799, 805):  # 400 fill a stretch
        for seed in range(30):
            lengths = np.random.default_rng(seed).permutation(size)
            order = list(GroupedOrder(lengths, 8, seed, True))
            assert sorted(order) == list(range(size))
            assert max(lengths[order[:8]]) == size - 1


def test_a_dry_run_checks_everything_and_leaves_nothing(mixture: Path, tmp_path: Path) -> None:
    done = run(command(mixture, tmp_path / "o", "--dry-run"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "loss of the longest batch: " in done.stdout
    assert not (tmp_path / "o").exists()


def test_a_record_of_the_run_is_left(mixture: Path, tmp_path: Path) -> None:
    done = run(command(mixture, tmp_path / "o", "max_steps=2"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert record(tmp_path / "o")["mixture"]["hash"] == json.loads((mixture / "card.json").read_text())["hash"]
    assert json.loads((tmp_path / "o/adapter_config.json").read_text())["base_model_name_or_path"] == "finer-mini"


def losses(output: Path) -> list[float]:
    return [entry["loss"] for entry in record(output)["loss"]]


def test_two_processes_train_as_one(mixture: Path, tmp_path: Path) -> None:
    assert run(command(mixture, tmp_path / "one")).returncode == 0
    launcher = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc_per_node", "2", "--no-python"]
    both = run([*launcher, *command(mixture, tmp_path / "two")])
    assert both.returncode == 0, both.stderr[-2000:]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=2e-3)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


def test_evaluation_on_the_way_changes_nothing_in_any_bit(mixture: Path, tmp_path: Path) -> None:
    more = ["max_steps=3", "lora.dropout=0.2", "dtype=bfloat16"]  # dropout draws from the generator that lmms-eval seeds
    assert run(command(mixture, tmp_path / "plain", *more)).returncode == 0
    tasks = "evaluation={tasks: [finer_mini_superordinate, finer_mini_fine], every: 2, documents: 8}"
    done = run(command(mixture, tmp_path / "with", *more, tasks))
    assert done.returncode == 0, done.stderr[-2000:]
    found = record(tmp_path / "with")["evaluations"]
    assert sorted(found) == ["2", "3"]  # every second step, and the end
    scores = {f"finer_mini_{level}_{score}" for level in ("superordinate", "fine") for score in ("em", "em_strict")}
    assert set(found["3"]) == scores
    assert all(value * 8 == int(value * 8) for value in found["3"].values())
    assert f"| finer_mini_fine_em | {found['3']['finer_mini_fine_em']:.3f} |" in (tmp_path / "with/README.md").read_text()
    assert losses(tmp_path / "with") == losses(tmp_path / "plain")
    assert same_weights(tmp_path / "with", tmp_path / "plain")


def test_evaluations_that_cannot_be_done_are_refused_before_the_model_is_loaded(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe("no-such-model", mixture, tmp_path / "o")
    with pytest.raises(TrainingError, match=r"did you mean finer_mini_fine\?"):
        prepare_run(replace(recipe, evaluation=Evaluation(("finer_mini_fin",))))
    with pytest.raises(NotPreparedError, match="finer prepare cub"):
        prepare_run(replace(recipe, evaluation=Evaluation(("finer_cub_fine",))))


def test_documents_are_spread_over_all_and_are_as_many_as_asked_for() -> None:
    chosen = spread_over(5794, 3000)
    assert len(set(chosen)) == 3000
    assert (chosen[0], chosen[-1]) == (0, 5792)
    assert max(after - before for before, after in pairwise(chosen)) == 2
    assert spread_over(5, 8) == [0, 1, 2, 3, 4]


def test_sigterm_leaves_a_checkpoint_from_which_the_run_goes_on(mixture: Path, tmp_path: Path) -> None:
    arguments = command(mixture, tmp_path / "o", "save_every=1000", "max_steps=30")
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "'loss'" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped at step" in output
    (saved,) = (tmp_path / "o").glob("checkpoint-*")
    assert run([*arguments[:-1], "max_steps=30"]).returncode == 0
    assert record(tmp_path / "o")["steps"] == 30 > int(saved.name.removeprefix("checkpoint-"))


def test_a_full_disk_keeps_the_last_good_checkpoint(mixture: Path, tmp_path: Path) -> None:
    arguments = command(mixture, tmp_path / "o")
    kill_after(arguments, tmp_path / "o/checkpoint-2")

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(arguments, capture_output=True, text=True, check=False, preexec_fn=little_space)
    assert done.returncode == 2
    assert "the checkpoint of step 4 could not be written" in done.stderr
    assert f"The last good checkpoint is {tmp_path}/o/checkpoint-2" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "o").glob("checkpoint-*")] == ["checkpoint-2"]


def test_a_loss_that_is_no_number_ends_the_run(mixture: Path, tmp_path: Path) -> None:
    done = run(command(mixture, tmp_path / "o", "learning_rate=1e30", "projector_learning_rate=1e30", "max_grad_norm=1e30"))
    assert done.returncode == 2
    assert "is not a number at step" in done.stderr
    assert "Lower learning_rate" in done.stderr


def test_conversations_that_do_not_fit_the_model_are_named(mixture: Path, tmp_path: Path) -> None:
    rows = list(load_from_disk(str(mixture / "arrow")).select(range(2)))
    forgetful = load_processor(LoadOptions("finer-mini"))
    forgetful.chat_template = "{{ messages[-1]['content'][-1]['text'] }}"
    with pytest.raises(MixtureError, match="does not keep earlier turns as they were"):
        ConversationEncoder(forgetful, mixture / "images").encode(rows)
    whole = ConversationEncoder(load_processor(LoadOptions("finer-mini")), tmp_path)
    with pytest.raises(MixtureError, match="is missing"):
        measure(load_from_disk(str(mixture / "arrow")), whole)
    assert f"{tmp_path / rows[0]['image']}: image cannot be decoded" in whole(rows)["error"]  # as a worker hands it on


def test_running_out_of_memory_names_the_knobs(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe("finer-mini", mixture, tmp_path, micro_batch_size=32)
    for error in (torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(TrainingError, match=r"micro_batch_size=32.*Lower micro_batch_size first"), explained(recipe):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), explained(recipe):
        raise RuntimeError("shapes do not fit")
