"""`finer train`: a LoRA fine-tuning run from its recipe to the adapter and its card."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

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
from finer_tasks.training.tuning.output import Made, write_output
from finer_tasks.training.tuning.precision import mixed_precision
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.recipe import Run, TrainRecipe
from finer_tasks.training.tuning.run_folder import checkpoint_to_resume, is_main_process, mark_started
from finer_tasks.training.tuning.running import RunTrainer, StopOnSignal
from finer_tasks.training.tuning.setup import Setup, prepare_run
from finer_tasks.training.tuning.trainer import FinerTrainer
from finer_tasks.writing import locked

T = TypeVar("T", bound=Made)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its steps, the means over them by name, and the signal that stopped it before its end, if any."""

    output: Path
    steps: int
    means: Mapping[str, float]
    stopped_by: int | None

    @property
    def loss(self) -> float | None:
        """The mean loss, None of a run that was stopped."""
        return self.means.get("loss")


def train(recipe: TrainRecipe) -> Outcome:
    """Run or resume; the adapter, processor, recipe and card are in recipe.output when it is finished."""
    return carry_out(recipe, lambda: made_of(recipe), lambda: prepare_run(recipe), make_trainer)


def made_of(recipe: TrainRecipe) -> dict[str, str]:
    """What a run learns from, for its identity."""
    return {"mixture_hash": read_mixture(recipe.mixture)[0]["hash"]}


def carry_out(
    recipe: Run, identify: Callable[[], dict[str, str]], prepare: Callable[[], T], make: Callable[[T, Progress], RunTrainer]
) -> Outcome:
    """Run or resume any kind of run: what identifies it, its setup, and the trainer of a setup and of what was done before."""
    require_as_published("training")
    with locked(recipe.output) if is_main_process() else nullcontext():  # the first process writes for all
        made = identify()
        resume = checkpoint_to_resume(recipe, made)
        setup = prepare()
        trainer = make(setup, Progress.load(resume) if resume else Progress())
        mark_started(recipe, made)
        return _run(recipe, setup, trainer, resume)


def _run(recipe: Run, setup: Made, trainer: RunTrainer, resume: Path | None) -> Outcome:
    with explained(recipe):
        with StopOnSignal(trainer) as stop:
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if stop.caught is not None:
            return Outcome(recipe.output, trainer.state.global_step, {}, stop.caught)
        figures = trainer.run_tasks()
    trainer.settle()
    if trainer.accelerator.is_main_process:
        write_output(setup, trainer, figures)
    trainer.accelerator.wait_for_everyone()
    return Outcome(recipe.output, trainer.state.global_step, trainer.means(), None)


def dry_run(recipe: TrainRecipe) -> dict[str, Any]:
    """Load everything, check the labels of a few conversations, and take one step on the longest conversations."""
    checkpoint_to_resume(recipe, made_of(recipe))
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
    return FinerTrainer(
        recipe,
        setup.parts,
        GroupedOrder(setup.lengths, recipe.global_batch_size, recipe.seed, recipe.group_by_length),
        Meter(
            Cost(counted["language"], counted["trained"], text.num_hidden_layers, text.hidden_size), setup.arguments.world_size
        ),
        progress,
        evaluation_of(recipe, setup.model),
        model=setup.model,
        args=setup.arguments,
        train_dataset=setup.dataset,
        data_collator=setup.encoder,
    )


def evaluation_of(recipe: Run, model: torch.nn.Module) -> Callable[[int], dict[str, float]] | None:
    """What evaluates the model on the recipe's tasks while it is trained; None where the recipe names none."""
    if not recipe.evaluation:
        return None
    from finer_tasks.training.tuning.evaluation import TaskEvaluation

    return TaskEvaluation(recipe.evaluation, recipe.model, model, mixed_precision(recipe))


@contextmanager
def explained(recipe: Run) -> Iterator[None]:
    """Turn running out of memory into a message that names the knobs."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"out of memory with {recipe.when_out_of_memory}") from error


def exit_code(outcome: Outcome) -> int:
    """0 at the end of a run, 128 + the signal where one stopped it, as shells count."""
    return 0 if outcome.stopped_by is None else 128 + int(signal.Signals(outcome.stopped_by))
