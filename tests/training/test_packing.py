"""Packed conversations give the loss and the gradients of padded ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finer_tasks.models.prefix import BRANCHES
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.meter import Cost, Meter
from finer_tasks.training.tuning.packing import lengths_of, pack
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.setup import Setup, prepare_run
from finer_tasks.training.tuning.train import dry_run, make_trainer
from tests.training.tiny_models import BUILDERS, save

PACKED = [name for name in BUILDERS if name.replace("-", "_").replace(".", "_") in BRANCHES]
REFUSED = [name for name in BUILDERS if name not in PACKED]


def recipe_for(name: str, mixture: Path, folder: Path, **more: Any) -> TrainRecipe:
    model = name
    if name in BUILDERS:
        model = str(folder / "model")
        save(name, Path(model))
    return TrainRecipe(
        model, mixture, folder / "run", lora=Lora(4, 8, 0.0), max_steps=1, global_batch_size=4, micro_batch_size=4,
        max_length=512, workers=0, **more,
    )  # fmt: skip


def rows_of(setup: Setup) -> list[Any]:
    """With and without an image, of unequal lengths."""
    by_length = sorted(range(len(setup.dataset)), key=lambda index: int(setup.lengths[index]))
    chosen = [by_length[0], by_length[-1], by_length[len(by_length) // 2]]
    texts = [index for index in by_length if not setup.dataset[index]["image"]][:1]
    return [setup.dataset[index] for index in (*chosen, *texts)]


def loss_and_gradients(setup: Setup, packing: bool) -> tuple[float, dict[str, torch.Tensor]]:
    setup.encoder.packing = packing
    trainer = make_trainer(setup, Progress())
    setup.model.train().zero_grad()
    loss = trainer.compute_loss(setup.model, setup.encoder(rows_of(setup)))
    loss.backward()
    return float(loss.detach()), {name: p.grad.clone() for name, p in setup.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["finer-mini", *PACKED])
def test_loss_and_gradients_are_those_of_padded_rows(name: str, attention: str, mixture: Path, tmp_path: Path) -> None:
    setup = prepare_run(recipe_for(name, mixture, tmp_path, packing=True, attention=attention))
    torch.manual_seed(0)
    for key, parameter in setup.model.named_parameters():
        if "lora_B" in key:  # zero at the start, when no gradient reaches the other half
            torch.nn.init.normal_(parameter, std=0.05)
    (packed, of_packed), (padded, of_padded) = (loss_and_gradients(setup, packing) for packing in (True, False))
    assert packed == pytest.approx(padded, abs=1e-5)
    assert of_packed.keys() == of_padded.keys()
    for key, gradient in of_packed.items():
        torch.testing.assert_close(gradient, of_padded[key], atol=1e-5, rtol=1e-3)
    assert any(gradient.abs().max() > 1e-4 for gradient in of_packed.values())


def test_a_packed_row_is_the_conversations_one_after_the_other(mixture: Path, tmp_path: Path) -> None:
    setup = prepare_run(recipe_for("finer-mini", mixture, tmp_path))
    padded = setup.encoder.encode(rows_of(setup))
    packed, lengths = pack(padded), padded["attention_mask"].sum(1)
    assert lengths_of(packed).tolist() == lengths_of(padded).tolist() == lengths.tolist()
    assert packed["input_ids"].shape == packed["labels"].shape == packed["position_ids"].shape == (1, int(lengths.sum()))
    start = 0
    for row, length in enumerate(lengths.tolist()):
        assert packed["input_ids"][0, start : start + length].tolist() == padded["input_ids"][row, :length].tolist()
        assert packed["labels"][0, start : start + length].tolist() == padded["labels"][row, :length].tolist()
        assert packed["position_ids"][0, start : start + length].tolist() == list(range(length))
        assert int(packed["labels"][0, start]) == -100  # or the conversation before would be taught to begin it
        start += length
    meters = [Meter(Cost(1, 1, 1, 1)) for _ in range(2)]
    for meter, batch in zip(meters, (packed, padded), strict=True):
        meter.count(batch)
    assert vars(meters[0])["squared"] == vars(meters[1])["squared"]
    assert meters[0].samples == meters[1].samples == len(lengths)


@pytest.mark.parametrize("name", REFUSED)
def test_models_for_which_it_is_not_right_are_refused_by_name(name: str, mixture: Path, tmp_path: Path) -> None:
    recipe = recipe_for(name, mixture, tmp_path, packing=True)
    with pytest.raises(TrainingError, match="packing=true is not right for models of type"):
        prepare_run(recipe)


def test_a_dry_run_takes_its_step_packed(mixture: Path, tmp_path: Path) -> None:
    recipe = recipe_for("finer-mini", mixture, tmp_path, packing=True)
    found = [dry_run(one)["loss_of_the_longest_batch"] for one in (recipe, replace(recipe, packing=False))]
    assert found[0] == pytest.approx(found[1], abs=1e-5)
