"""What is found in a run's folder or a mixture before a run begins: damage is named, nothing is taken for what it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finer_tasks.errors import OutputError
from finer_tasks.training.errors import MixtureError, TrainingError
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.recipe import Evaluation, Lora, TrainRecipe
from finer_tasks.training.tuning.train import train
from tests.held_locks import held


def recipe_for(mixture: Path, output: Path) -> TrainRecipe:
    return TrainRecipe(
        "finer-mini", mixture, output, lora=Lora(4, 8, 0.0), max_steps=4, save_every=2, log_every=3,
        global_batch_size=4, micro_batch_size=4, max_length=512, workers=0,
        evaluation=Evaluation(("finer_mini_fine",), every=2, documents=4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(mixture: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        train(recipe_for(mixture, folder))
    return folder


@pytest.fixture
def stopped(finished: Path, tmp_path: Path) -> Path:
    """A run that was killed after its last checkpoint, while the adapter was being written."""
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "training.json").unlink()
    (folder / "adapter_model.safetensors").rename(folder / ".adapter")
    return folder


def test_a_run_killed_after_its_last_checkpoint_takes_no_further_step(
    mixture: Path, stopped: Path, finished: Path, mini_data: Path
) -> None:
    (stopped / ".adapter").unlink()
    (stopped / ".adapter").mkdir()
    assert train(recipe_for(mixture, stopped)).steps == 4
    first, second = (json.loads((folder / "training.json").read_text()) for folder in (finished, stopped))
    assert sorted(first["evaluations"]) == ["2", "4"]
    for key in ("steps", "mean_loss", "loss", "evaluations"):
        assert first[key] == second[key]
    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (finished, stopped))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not (stopped / ".adapter").exists()


def test_an_adapter_given_as_the_model_is_refused_with_its_base(mixture: Path, finished: Path, tmp_path: Path) -> None:
    recipe = replace(recipe_for(mixture, tmp_path / "o"), model=str(finished))
    message = rf"model={finished} is an adapter of finer-mini\. Give model=finer-mini .*finer merge {finished} --output MERGED"
    with pytest.raises(TrainingError, match=message):
        train(recipe)
    assert not (tmp_path / "o").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "adapter_model.safetensors": cut,
    "optimizer.pt": cut,
    "scheduler.pt": Path.unlink,
    "rng_state.pth": cut,
    "trainer_state.json": cut,
    "progress.json": lambda path: path.write_text("[]"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_is_named_with_the_one_before_it(mixture: Path, stopped: Path, name: str) -> None:
    DAMAGE[name](stopped / "checkpoint-4" / name)
    with pytest.raises(TrainingError, match=r"run/checkpoint-4 is damaged .*Delete it to go on from step 2"):
        train(recipe_for(mixture, stopped))


def test_a_folder_that_cannot_be_written_or_belongs_to_another_is_refused(mixture: Path, stopped: Path, tmp_path: Path) -> None:
    with held(stopped), pytest.raises(OutputError, match="run is being written by another process"):
        train(recipe_for(mixture, stopped))
    (stopped / "run.json").write_text("[1]")
    with pytest.raises(TrainingError, match=r"run.json is damaged"):
        train(recipe_for(mixture, stopped))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match="file is a file; give another output"):
        train(recipe_for(mixture, tmp_path / "file"))
    with pytest.raises(OutputError, match="a file stands where a folder should be"):
        train(recipe_for(mixture, tmp_path / "file/run"))
    assert (tmp_path / "file").read_text() == "mine"


def shorten(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"conversations": card["conversations"] + 4}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "card.json").write_text("[1, 2]"), r"card.json is no card of a mixture"),
        (lambda folder: (folder / "card.json").write_text("{"), r"card.json cannot be read"),
        (lambda folder: (folder / "card.json").unlink(), "has no card.json"),
        (lambda folder: cut(next((folder / "arrow").glob("*.arrow"))), "arrow cannot be read"),
        (lambda folder: (folder / "arrow/state.json").write_text("[]"), "arrow cannot be read"),
        (shorten, r"arrow does not hold the 68 conversations of card.json"),
    ],
)
def test_a_damaged_mixture_is_refused(mixture: Path, tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    folder = shutil.copytree(mixture, tmp_path / "m", symlinks=True)
    damage(folder)
    with pytest.raises(MixtureError, match=rf"{message}.*finer mixture build"):
        read_mixture(folder)
