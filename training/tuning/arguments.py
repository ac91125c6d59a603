"""A training recipe in the words of transformers' Trainer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from transformers import TrainingArguments

from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.precision import mixed_precision
from finer_tasks.training.tuning.run_folder import is_main_process

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import Run, TrainRecipe

T = TypeVar("T", bound=TrainingArguments)


def passes_per_step(recipe: Run, processes: int) -> int:
    """Passes of each process in a step; raises TrainingError if a step cannot be shared out equally."""
    passes, rest = divmod(recipe.global_batch_size, recipe.micro_batch_size * processes)
    if rest or not passes:
        raise TrainingError(
            f"global_batch_size={recipe.global_batch_size} is no multiple of micro_batch_size={recipe.micro_batch_size} "
            f"times {processes} processes"
        )
    return passes


def training_arguments(recipe: TrainRecipe) -> TrainingArguments:
    """A supervised recipe in Trainer's words."""
    own = {
        "torch_compile": recipe.compile,
        "label_names": ["labels"],
        "fsdp": True if recipe.fsdp else None,
        "fsdp_config": recipe.fsdp_config,
        "deepspeed": str(recipe.deepspeed) if recipe.deepspeed else None,
    }
    return arguments_of(recipe, TrainingArguments, own)


def arguments_of(recipe: Run, kind: Callable[..., T], own: dict[str, Any]) -> T:
    """What every run tells its Trainer, and what this kind of run tells it beside; raises TrainingError if it does not fit."""
    accumulation = passes_per_step(recipe, processes=int(os.environ.get("WORLD_SIZE", "1")))
    try:
        return kind(
            output_dir=str(recipe.output),
            seed=recipe.seed,
            data_seed=recipe.seed,
            per_device_train_batch_size=recipe.micro_batch_size,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=recipe.epochs,
            max_steps=recipe.max_steps or -1,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.schedule,
            warmup_steps=recipe.warmup_ratio,  # below 1: a share of all steps
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.max_grad_norm,
            bf16=mixed_precision(recipe) == "bf16",
            fp16=mixed_precision(recipe) == "fp16",
            use_cpu=not torch.accelerator.is_available(),  # said, or several processes on a CPU would each train alone
            activation_checkpointing=recipe.gradient_checkpointing,
            activation_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
            dataloader_num_workers=recipe.workers,
            dataloader_pin_memory=torch.cuda.is_available(),
            dataloader_persistent_workers=recipe.workers > 0,
            dataloader_prefetch_factor=4 if recipe.workers else None,
            logging_steps=recipe.log_every,
            logging_nan_inf_filter=False,
            save_steps=recipe.save_every,
            save_total_limit=recipe.keep,
            report_to=list(recipe.report_to) or "none",
            remove_unused_columns=False,
            optim="adamw_torch",
            ddp_find_unused_parameters=recipe.projector != "frozen",  # text-only batches leave it unused
            disable_tqdm=not is_main_process() or None,
            **own,
        )
    except (ValueError, ImportError) as error:
        raise TrainingError(f"the recipe does not fit transformers' Trainer: {error}") from error


def total_steps(recipe: TrainRecipe, conversations: int) -> int:
    """Steps of the whole run."""
    if recipe.max_steps:
        return recipe.max_steps
    per_epoch = -(-conversations // recipe.global_batch_size)
    return math.ceil(per_epoch * recipe.epochs)
