"""Everything a run needs, read, built and checked before its first step."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments
from transformers.utils.import_utils import is_flash_attn_2_available

from finer_tasks.errors import ModelError
from finer_tasks.models.loading import LoadOptions, base_and_adapter, load_model, load_processor
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.arguments import training_arguments
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.lengths import measure, within
from finer_tasks.training.tuning.modules import Parts, attach_adapter, parts_of, use_cache
from finer_tasks.training.tuning.overrides import require_unchanged
from finer_tasks.training.tuning.packing import require_packable
from finer_tasks.training.tuning.precision import keep_in_float32
from finer_tasks.training.tuning.recipe import Run, TrainRecipe
from finer_tasks.training.tuning.running import RunTrainer
from finer_tasks.training.tuning.trainer import FinerTrainer


@dataclass
class Setup:
    """Everything a run needs, built and checked."""

    recipe: TrainRecipe
    card: dict[str, Any]
    arguments: TrainingArguments
    processor: Any
    model: Any
    parts: Parts
    encoder: ConversationEncoder
    dataset: Dataset
    lengths: np.ndarray
    left_out: int
    packages: tuple[str, ...] = ()

    def account(self) -> dict[str, Any]:
        """How many conversations were learned from."""
        return {"conversations": len(self.dataset), "left_out_as_too_long": self.left_out}

    def told(self, record: dict[str, Any]) -> str:
        """What a model card says of them."""
        final = f"{record['loss'][-1]['loss']:.4f}" if record["loss"] else "not logged"
        return (
            f"{len(self.dataset)} conversations of the mixture `{self.card['name']}` (SHA-256 `{self.card['hash']}`),\n"
            f"{record['steps']} steps of {self.recipe.global_batch_size}, "
            f"mean loss {record['mean_loss']:.4f}, at the end {final}."
        )


def prepare_run(recipe: TrainRecipe) -> Setup:
    """Read the mixture, load model and processor, attach the adapter, measure lengths, check the labels."""
    require_unchanged(RunTrainer, Trainer)
    require_unchanged(FinerTrainer, Trainer)
    card, dataset = mixture_of(recipe)
    arguments = training_arguments(recipe)
    _require_libraries(recipe)
    processor, model = load_to_tune(recipe, arguments.device if not recipe.fsdp else torch.device("cpu"), recipe.quantize)
    encoder = ConversationEncoder(processor, recipe.mixture / "images", recipe.packing)
    parts = parts_of(model)
    if recipe.packing:
        require_packable(model.config.model_type)
    if recipe.quantize != "none":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(recipe.seed)  # the adapter starts from the seed, whatever loading drew
    model = attach_adapter(model, parts, recipe.lora, recipe.projector)
    keep_in_float32(model)
    use_cache(model, False)
    lengths = measure(dataset, encoder)
    dataset, lengths, left_out = within(dataset, lengths, recipe.max_length, recipe.overlong)
    rng = random.Random(recipe.seed)
    encoder.check([dataset[rng.randrange(len(dataset))] for _ in range(min(4, len(dataset)))])
    return Setup(recipe, card, arguments, processor, model, parts, encoder, dataset, lengths, left_out)


def mixture_of(recipe: Run) -> tuple[dict[str, Any], Dataset]:
    """Card and rows of a run's mixture, once it is known that its model can be tuned and its tasks are there."""
    refuse_adapter(recipe.model)
    found = read_mixture(recipe.mixture)
    if recipe.evaluation:
        from finer_tasks.training.tuning.evaluation import require_tasks

        require_tasks(recipe.evaluation)
    return found


def load_to_tune(recipe: Run, device: torch.device, quantize: str = "none") -> tuple[Any, Any]:
    """Processor and frozen model of a run."""
    if recipe.attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise TrainingError("attention=flash_attention_2 needs the package flash-attn and a GPU; leave it out for SDPA")
    options = LoadOptions(
        recipe.model,
        dtype=recipe.dtype,
        attn_implementation=recipe.attention,
        load_in_4bit=quantize == "4bit",
        load_in_8bit=quantize == "8bit",
        trust_remote_code=recipe.trust_remote_code,
        encoder_cache=str(recipe.encoder_cache) if recipe.encoder_cache else None,
    )
    processor, model = load_processor(options), load_model(options, device)
    return processor, model.requires_grad_(False)


def refuse_adapter(model: str) -> None:
    """A second adapter on top of a first one could be neither saved nor merged as one."""
    named = base_and_adapter(LoadOptions(model))
    if named.peft:
        raise TrainingError(
            f"model={model} is an adapter of {named.pretrained}. Give model={named.pretrained} to train a new one, or fold "
            f"this one in first (finer merge {model} --output MERGED) and give model=MERGED"
        )


def _require_libraries(recipe: TrainRecipe) -> None:
    if recipe.fsdp and not torch.accelerator.is_available():
        raise TrainingError("fsdp=true needs GPUs: on a CPU accelerate would leave it out without a word. Leave out fsdp")
    if recipe.quantize != "none":
        from importlib.util import find_spec

        if find_spec("bitsandbytes") is None:
            raise ModelError(f"quantize={recipe.quantize} needs the package bitsandbytes (pip install bitsandbytes)")
