"""What is trained is kept in float32 whatever the dtype of the model, and small steps are not lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.precision import mixed_precision
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.setup import Setup, prepare_run
from finer_tasks.training.tuning.train import dry_run, make_trainer, train
from tests.training.tiny_models import BUILDERS, save


def take_a_step(setup: Setup) -> None:
    trainer = make_trainer(setup, Progress())
    trainer.create_optimizer()
    model = trainer.accelerator.prepare(trainer.model)
    batch = setup.encoder.encode([setup.dataset[0], setup.dataset[1]])
    assert torch.isfinite(trainer.training_step(model, batch))
    trainer.optimizer.step()


@pytest.mark.parametrize("name", [*BUILDERS, "finer-mini"])
def test_a_small_step_changes_nearly_every_weight_of_the_projector(name: str, mixture: Path, tmp_path: Path) -> None:
    model = name
    if name in BUILDERS:
        model = str(tmp_path / "model")
        save(name, Path(model))
    recipe = TrainRecipe(
        model, mixture, tmp_path / "run", dtype="bfloat16", lora=Lora(4, 8, 0.0), projector_learning_rate=2e-5,
        global_batch_size=2, micro_batch_size=2, max_length=512, workers=0,
    )  # fmt: skip
    setup = prepare_run(recipe)
    trained = {key: weight for key, weight in setup.model.named_parameters() if weight.requires_grad}
    frozen = [weight for weight in setup.model.parameters() if not weight.requires_grad]
    assert {weight.dtype for weight in trained.values()} == {torch.float32}
    assert {weight.dtype for weight in frozen} == {torch.bfloat16}
    before = {key: weight.detach().clone() for key, weight in trained.items() if f"{setup.parts.projector}." in key}
    take_a_step(setup)
    moved = sum(int((trained[key] != weight).sum()) for key, weight in before.items())
    reached = sum(int((trained[key].grad != 0).sum()) for key in before)
    assert moved >= 0.99 * reached > 0


def test_float16_without_loss_scaling_is_refused_before_a_step(mixture: Path, tmp_path: Path) -> None:
    if torch.accelerator.is_available():
        assert mixed_precision(TrainRecipe("m", mixture, tmp_path, dtype="float16")) == "fp16"
        return
    with pytest.raises(TrainingError, match=r"dtype=float16 needs a GPU.*loss scaling.*dtype=bfloat16 or float32"):
        dry_run(TrainRecipe("finer-mini", mixture, tmp_path / "o", dtype="float16"))


def test_weights_that_are_no_numbers_are_not_blamed_on_the_learning_rate(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe(
        "finer-mini",
        mixture,
        tmp_path / "o",
        lora=Lora(4, 8, 0.0),
        global_batch_size=2,
        micro_batch_size=2,
        max_steps=1,
        workers=0,
    )
    setup = prepare_run(recipe)
    setup.model.get_submodule(f"base_model.model.{setup.parts.vision}").requires_grad_(False).apply(_break)
    trainer = make_trainer(setup, Progress())
    with pytest.raises(TrainingError, match=r"not a number at step 1, before anything was learned.*Check the model"):
        trainer.train()


def _break(module: torch.nn.Module) -> None:
    for weight in module.parameters(recurse=False):
        weight.data.fill_(float("nan"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_float16_learns_with_loss_scaling(mixture: Path, tmp_path: Path) -> None:
    recipe = TrainRecipe(
        "finer-mini", mixture, tmp_path / "o", dtype="float16", lora=Lora(4, 8, 0.0), learning_rate=1e-3, max_steps=20,
        global_batch_size=8, micro_batch_size=8, max_length=512, workers=0, log_every=1,
    )  # fmt: skip
    outcome = train(recipe)
    assert outcome.loss is not None
    assert outcome.steps == 20
