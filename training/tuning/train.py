"""`finer train`: a LoRA fine-tuning run from its recipe to the adapter and its card."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments
from transformers.utils import is_flash_attn_2_available

from finer_tasks.errors import ModelError
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.models.memory import is_out_of_memory
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.lengths import GroupedOrder, measure, within
from finer_tasks.training.tuning.meter import Cost, Meter
from finer_tasks.training.tuning.modules import Parts, attach_adapter, count_parameters, parts_of
from finer_tasks.training.tuning.output import write_output
from finer_tasks.training.tuning.overrides import require_unchanged
from finer_tasks.training.tuning.precision import keep_in_float32, mixed_precision
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import TrainRecipe
from finer_tasks.training.tuning.run_folder import checkpoint_to_resume, is_main_process, mark_started
from finer_tasks.training.tuning.trainer import FinerTrainer, StopOnSignal
from finer_tasks.writing import locked


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its final loss and steps, and the signal that stopped it before its end, if any."""

    output: Path
    steps: int
    loss: float | None
    stopped_by: int | None


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


def train(recipe: TrainRecipe) -> Outcome:
    """Run or resume; the adapter, processor, recipe and card are in recipe.output when it is finished."""
    with locked(recipe.output) if is_main_process() else nullcontext():  # the first process writes for all
        return _train(recipe)


def _train(recipe: TrainRecipe) -> Outcome:
    resume = checkpoint_to_resume(recipe, read_mixture(recipe.mixture)[0]["hash"])
    setup = prepare_run(recipe)
    trainer = make_trainer(setup, Progress.load(resume) if resume else Progress())
    mark_started(recipe, setup.card["hash"])
    stop = StopOnSignal(trainer)
    trainer.add_callback(stop)
    with explained(recipe):
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if stop.caught is not None:
            return Outcome(recipe.output, trainer.state.global_step, None, stop.caught)
        figures = trainer.run_tasks()
    trainer.settle()
    if trainer.accelerator.is_main_process:
        write_output(setup, trainer, figures)
    trainer.accelerator.wait_for_everyone()
    return Outcome(recipe.output, trainer.state.global_step, trainer.progress.mean(), None)


def dry_run(recipe: TrainRecipe) -> dict[str, Any]:
    """Load everything, check the labels of a few conversations, and take one step on the longest conversations."""
    checkpoint_to_resume(recipe, read_mixture(recipe.mixture)[0]["hash"])
    with tempfile.TemporaryDirectory() as folder:  # Trainer makes its output folder
        return _one_step(prepare_run(replace(recipe, output=Path(folder))))


def _one_step(setup: Setup) -> dict[str, Any]:
    recipe = setup.recipe
    trainer = make_trainer(setup, Progress())
    # No batch of the run holds more tokens than this one: its conversations are the longest of all.
    longest = np.argsort(-setup.lengths)[: recipe.micro_batch_size]
    batch = setup.encoder.check([setup.dataset[int(index)] for index in longest])
    with explained(recipe):
        optimizer = trainer.create_optimizer()
        model = trainer.accelerator.prepare(trainer.model)
        loss = trainer.training_step(model, batch)
        optimizer.step()
    if not torch.isfinite(loss):
        raise TrainingError("the loss of the first batch is not a number; the model or its dtype is at fault")
    return {
        "conversations": len(setup.dataset),
        "left_out_as_too_long": setup.left_out,
        "longest": int(setup.lengths.max()),
        "steps": trainer_steps(setup),
        "trained_parameters": count_parameters(setup.model, setup.parts)["trained"],
        "loss_of_the_longest_batch": float(loss),
        "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None,
    }


def prepare_run(recipe: TrainRecipe) -> Setup:
    """Read the mixture, load model and processor, attach the adapter, measure lengths, check the labels."""
    require_unchanged(FinerTrainer, Trainer)
    card, dataset = read_mixture(recipe.mixture)
    if recipe.evaluation:
        from finer_tasks.training.tuning.evaluation import require_tasks

        require_tasks(recipe.evaluation)
    arguments = training_arguments(recipe)
    options = LoadOptions(
        recipe.model,
        dtype=recipe.dtype,
        attn_implementation=recipe.attention,
        load_in_4bit=recipe.quantize == "4bit",
        load_in_8bit=recipe.quantize == "8bit",
        trust_remote_code=recipe.trust_remote_code,
    )
    _require_libraries(recipe)
    processor = load_processor(options)
    encoder = ConversationEncoder(processor, recipe.mixture / "images")
    model = load_model(options, arguments.device if not recipe.fsdp else torch.device("cpu"))
    parts = parts_of(model)
    model.requires_grad_(False)
    if recipe.quantize != "none":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(recipe.seed)  # the adapter starts from the seed, whatever loading drew
    model = attach_adapter(model, parts, recipe.lora, recipe.projector)
    keep_in_float32(model)
    model.config.use_cache = False
    lengths = measure(dataset, encoder)
    dataset, lengths, left_out = within(dataset, lengths, recipe.max_length, recipe.overlong)
    rng = random.Random(recipe.seed)
    encoder.check([dataset[rng.randrange(len(dataset))] for _ in range(min(4, len(dataset)))])
    return Setup(recipe, card, arguments, processor, model, parts, encoder, dataset, lengths, left_out)


def make_trainer(setup: Setup, progress: Progress) -> FinerTrainer:
    """The Trainer of a run, which goes on from what `progress` says was done."""
    recipe = setup.recipe
    counted = count_parameters(setup.model, setup.parts)
    text = setup.model.config.get_text_config()
    evaluate: Callable[[int], dict[str, float]] | None = None
    if recipe.evaluation:
        from finer_tasks.training.tuning.evaluation import TaskEvaluation

        evaluate = TaskEvaluation(recipe.evaluation, recipe.model, setup.model, mixed_precision(recipe))
    return FinerTrainer(
        recipe,
        setup.parts,
        GroupedOrder(setup.lengths, recipe.global_batch_size, recipe.seed, recipe.group_by_length),
        Meter(
            Cost(counted["language"], counted["trained"], text.num_hidden_layers, text.hidden_size), setup.arguments.world_size
        ),
        progress,
        evaluate,
        model=setup.model,
        args=setup.arguments,
        train_dataset=setup.dataset,
        data_collator=setup.encoder,
    )


def training_arguments(recipe: TrainRecipe) -> TrainingArguments:
    """The recipe in Trainer's words."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    accumulation, rest = divmod(recipe.global_batch_size, recipe.micro_batch_size * world)
    if rest or not accumulation:
        raise TrainingError(
            f"global_batch_size={recipe.global_batch_size} is no multiple of micro_batch_size={recipe.micro_batch_size} "
            f"times {world} processes"
        )
    try:
        return TrainingArguments(
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
            torch_compile=recipe.compile,
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
            label_names=["labels"],
            optim="adamw_torch",
            ddp_find_unused_parameters=recipe.projector != "frozen",  # text-only batches leave it unused
            fsdp=True if recipe.fsdp else None,  # type: ignore[arg-type]  # annotated as text for its command line, meant as a bool
            fsdp_config=recipe.fsdp_config,
            deepspeed=str(recipe.deepspeed) if recipe.deepspeed else None,
            disable_tqdm=not is_main_process() or None,
        )
    except (ValueError, ImportError) as error:
        raise TrainingError(f"the recipe does not fit transformers' Trainer: {error}") from error


def trainer_steps(setup: Setup) -> int:
    """Steps of the whole run."""
    if setup.recipe.max_steps:
        return setup.recipe.max_steps
    per_epoch = -(-len(setup.dataset) // setup.recipe.global_batch_size)
    return int(-(-per_epoch * setup.recipe.epochs // 1))


def _require_libraries(recipe: TrainRecipe) -> None:
    if recipe.fsdp and not torch.accelerator.is_available():
        raise TrainingError("fsdp=true needs GPUs: on a CPU accelerate would leave it out without a word. Leave out fsdp")
    if recipe.attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise TrainingError("attention=flash_attention_2 needs the package flash-attn and a GPU; leave it out for SDPA")
    if recipe.quantize != "none":
        from importlib.util import find_spec

        if find_spec("bitsandbytes") is None:
            raise ModelError(f"quantize={recipe.quantize} needs the package bitsandbytes (pip install bitsandbytes)")


@contextmanager
def explained(r: TrainRecipe) -> Iterator[None]:
    """Turn running out of memory into a message that names the knobs."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"out of memory with micro_batch_size={r.micro_batch_size}, max_length={r.max_length}, "
            f"gradient_checkpointing={str(r.gradient_checkpointing).lower()}, quantize={r.quantize}. "
            "Lower micro_batch_size first (global_batch_size stays), then gradient_checkpointing=true, then quantize=4bit"
        ) from error


def exit_code(outcome: Outcome) -> int:
    """0 at the end of a run, 128 + the signal where one stopped it, as shells count."""
    return 0 if outcome.stopped_by is None else 128 + int(signal.Signals(outcome.stopped_by))
