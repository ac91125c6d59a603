"""Every architecture family the README names: labels, which weights are trained, and the adapter loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.output import merge_adapter
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.setup import prepare_run
from finer_tasks.training.tuning.train import train
from tests.training.tiny_models import BUILDERS, save

CPU = torch.device("cpu")


# LoRA on the projector differs by its form: one layer, a merger, two layers.
BOTH = [("finer-mini", "train"), ("finer-mini", "lora")]
BOTH += [pytest.param(name, "train", marks=pytest.mark.slow) for name in BUILDERS]
BOTH += [pytest.param(name, "lora", marks=pytest.mark.slow) for name in ("blip-2", "qwen2.5-vl")]


@pytest.mark.parametrize(("name", "projector"), BOTH)
def test_an_architecture_trains_and_its_adapter_answers_as_it_did(
    name: str, projector: str, mixture: Path, tmp_path: Path
) -> None:
    model = name
    if name in BUILDERS:
        model = str(tmp_path / "model")
        save(name, Path(model))
    recipe = TrainRecipe(
        model, mixture, tmp_path / "run", lora=Lora(4, 8, 0.0), projector=projector, max_steps=2, learning_rate=0.05,
        projector_learning_rate=0.05, global_batch_size=4, micro_batch_size=2, max_length=512, workers=0, log_every=1,
    )  # fmt: skip
    setup = prepare_run(recipe)
    trained = [key for key, parameter in setup.model.named_parameters() if parameter.requires_grad]
    assert all(f"{setup.parts.language}." in key or f"{setup.parts.projector}." in key for key in trained)
    assert any(f"{setup.parts.language}." in key for key in trained)
    assert any(f"{setup.parts.projector}." in key for key in trained)
    train(recipe)
    processor = load_processor(LoadOptions(model))
    _, dataset = read_mixture(mixture)
    batch = ConversationEncoder(processor, mixture / "images").encode([dataset[0], dataset[50]])
    batch.pop("labels")
    with torch.no_grad():
        base = load_model(LoadOptions(model), CPU)(**batch).logits
        tuned = load_model(LoadOptions(model, peft=str(tmp_path / "run")), CPU)(**batch).logits
        merge_adapter(tmp_path / "run", tmp_path / "merged", dtype="float32")
        merged = load_model(LoadOptions(str(tmp_path / "merged")), CPU)(**batch).logits
    assert not torch.allclose(base, tuned, atol=1e-3)
    torch.testing.assert_close(merged, tuned, atol=2e-4, rtol=1e-3)
