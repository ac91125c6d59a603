"""`finer train`: a LoRA fine-tuning run from its recipe to the adapter and its card."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.models.memory import is_out_of_memory
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.arguments import total_steps
from finer_tasks.training.tuning.lengths import GroupedOrder
from finer_tasks.training.tuning.meter import Cost, Meter
from finer_tasks.training.tuning.modules import count_parameters
from finer_tasks.training.tuning.output import write_output
from finer_tasks.training.tuning.precision import mixed_precision
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import TrainRecipe
from finer_tasks.training.tuning.run_folder import checkpoint_to_resume, is_main_process, mark_started
from finer_tasks.training.tuning.setup import Setup, prepare_run
from finer_tasks.training.tuning.trainer import FinerTrainer, StopOnSignal
from finer_tasks.writing import locked


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its final loss and steps, and the signal that stopped it before its end, if any."""

    output: Path
    steps: int
    loss: float | None
    stopped_by: int | None


def train(recipe: TrainRecipe) -> Outcome:
    """Run or resume; the adapter, processor, recipe and card are in recipe.output when it is finished."""
    require_as_published("training")
    with locked(recipe.output) if is_main_process() else nullcontext():  # the first process writes for all
        return _train(recipe)


def _train(recipe: TrainRecipe) -> Outcome:
    resume = checkpoint_to_resume(recipe, read_mixture(recipe.mixture)[0]["hash"])
    setup = prepare_run(recipe)
    trainer = make_trainer(setup, Progress.load(resume) if resume else Progress())
    mark_started(recipe, setup.card["hash"])
    with explained(recipe):
        with StopOnSignal(trainer) as stop:
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
        loss = trainer.training_step(model, setup.encoder.as_trained(batch))
        optimizer.step()
    if not torch.isfinite(loss):
        raise TrainingError("the loss of the first batch is not a number; the model or its dtype is at fault")
    return {
        "conversations": len(setup.dataset),
        "left_out_as_too_long": setup.left_out,
        "longest": int(setup.lengths.max()),
        "steps": total_steps(setup.recipe, len(setup.dataset)),
        "trained_parameters": count_parameters(setup.model, setup.parts)["trained"],
        "loss_of_the_longest_batch": float(loss),
        "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None,
    }


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
