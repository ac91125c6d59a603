"""`finer train` with `method: grpo`: from a recipe to the adapter and its card, as a supervised run."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from transformers import Trainer

from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.models.generation import Generator
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.grpo.questions import questions_of
from finer_tasks.training.grpo.recipe import GrpoRecipe
from finer_tasks.training.grpo.rewarding import Rewarder
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.tuning.arguments import arguments_of
from finer_tasks.training.tuning.modules import Parts, adapter_config, count_parameters, parts_of
from finer_tasks.training.tuning.overrides import require_unchanged
from finer_tasks.training.tuning.precision import keep_in_float32
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.run_folder import checkpoint_to_resume
from finer_tasks.training.tuning.running import RunTrainer
from finer_tasks.training.tuning.setup import load_to_tune, mixture_of
from finer_tasks.training.tuning.train import Outcome, carry_out, evaluation_of, explained

if TYPE_CHECKING:
    from trl import GRPOConfig

    from finer_tasks.training.grpo.trainer import GrpoRunTrainer


@dataclass
class GrpoSetup:
    """Everything a run needs, built and checked."""

    recipe: GrpoRecipe
    card: dict[str, Any]
    arguments: GRPOConfig
    processor: Any
    model: Any
    parts: Parts
    questions: Dataset
    packages: tuple[str, ...] = ("trl",)

    def account(self) -> dict[str, Any]:
        """How many questions were asked, and in whose words."""
        prompts = active_prompt_set()
        return {"questions": len(self.questions), "prompt_set": prompts.name, "prompt_hash": prompts.hash}

    def told(self, record: dict[str, Any]) -> str:
        """What a model card says of them."""
        final = f"{record['reward'][-1]['reward']:.4f}" if record["reward"] else "not logged"
        return (
            f"Rewards by em_strict (GRPO) for answers to {len(self.questions)} questions about the images of the mixture "
            f"`{self.card['name']}`\n(SHA-256 `{self.card['hash']}`), {record['steps']} steps of "
            f"{self.recipe.global_batch_size} answers, mean reward {record['mean_reward']:.4f}, at the end {final}."
        )


def train_grpo(recipe: GrpoRecipe) -> Outcome:
    """Run or resume, as `tuning.train.train`; raises TrainingError without the package trl."""
    require_trl()
    return carry_out(recipe, lambda: made_of(recipe), lambda: prepare(recipe), make_trainer)


def dry_run_grpo(recipe: GrpoRecipe) -> dict[str, Any]:
    """Load everything, ask the questions of one step and take it."""
    require_trl()
    checkpoint_to_resume(recipe, made_of(recipe))
    with tempfile.TemporaryDirectory() as folder:  # Trainer makes its output folder
        return _one_step(prepare(replace(recipe, output=Path(folder))))


def require_trl() -> None:
    """Raise TrainingError where TRL is not installed."""
    if find_spec("trl") is None:
        raise TrainingError("method=grpo needs the package trl, the extra grpo of finer-tasks: pip install 'trl>=1.16,<2'")


def made_of(recipe: GrpoRecipe) -> dict[str, str]:
    """What a run learns from, for its identity: images, the words of the questions, and the scoring that rewards."""
    return {
        "mixture_hash": read_mixture(recipe.mixture)[0]["hash"],
        "prompt_hash": active_prompt_set().hash,
        "scoring": SCORING_VERSION,
    }


def prepare(recipe: GrpoRecipe) -> GrpoSetup:
    """Read the mixture, make the questions, load model and processor."""
    from trl import GRPOTrainer

    from finer_tasks.training.grpo.trainer import GrpoRunTrainer

    for ours, theirs in ((RunTrainer, Trainer), (RunTrainer, GRPOTrainer), (GrpoRunTrainer, GRPOTrainer)):
        require_unchanged(ours, theirs)
    card, mixture = mixture_of(recipe)
    arguments = _arguments(recipe)
    questions = questions_of(recipe, card, mixture)
    if len(questions) < _asked(recipe):
        raise TrainingError(
            f"a step asks global_batch_size / group_size = {_asked(recipe)} questions, and there are {len(questions)}. "
            "Lower global_batch_size, or give a larger mixture"
        )
    processor, model = load_to_tune(recipe, arguments.device)
    _give_template(processor, recipe.model)
    return GrpoSetup(recipe, card, arguments, processor, model, parts_of(model), questions)


def _give_template(processor: Any, model: str) -> None:
    """TRL asks the processor for the chat template, wherever it is; raises TrainingError where there is none."""
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    if template is None:
        raise TrainingError(
            f"model={model} has no chat template, without which TRL puts no image into a question. Give a chat model"
        )
    processor.chat_template = template


def _asked(recipe: GrpoRecipe) -> int:
    """Questions of a step."""
    return recipe.global_batch_size // recipe.group_size


def _arguments(recipe: GrpoRecipe) -> GRPOConfig:
    from trl import GRPOConfig

    own = {
        "num_generations": recipe.group_size,
        "max_completion_length": recipe.max_new_tokens,
        "temperature": recipe.temperature,
        "beta": recipe.beta,
        "epsilon": recipe.clip,
        "num_iterations": recipe.iterations,
        "loss_type": recipe.loss,
    }
    return arguments_of(recipe, GRPOConfig, own)


def make_trainer(setup: GrpoSetup, progress: Progress) -> GrpoRunTrainer:
    """The trainer of a run, which goes on from what `progress` says was done."""
    from finer_tasks.training.grpo.trainer import GrpoRunTrainer

    recipe = setup.recipe
    generator = Generator(setup.model, ChatEncoder(setup.processor), setup.arguments.device)
    rewarder = Rewarder(recipe.reward, lambda ids: generator.decode(torch.tensor(ids)))
    trainer = GrpoRunTrainer(
        recipe,
        setup.parts,
        progress,
        model=setup.model,
        reward_funcs=rewarder,
        args=setup.arguments,
        train_dataset=setup.questions,
        processing_class=setup.processor,
        peft_config=adapter_config(setup.model, setup.parts, recipe.lora, recipe.projector),
    )
    keep_in_float32(trainer.wrapped)
    trainer.evaluate_tasks = evaluation_of(recipe, trainer.wrapped)
    return trainer


def _one_step(setup: GrpoSetup) -> dict[str, Any]:
    recipe = setup.recipe
    trainer = make_trainer(setup, Progress())
    with explained(recipe):
        optimizer = trainer.create_optimizer()
        model = trainer.model_wrapped = trainer.accelerator.prepare(trainer.wrapped)
        model.train()
        passes = trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        for rows, _ in zip(trainer.get_train_dataloader(), range(passes), strict=False):  # type: ignore[no-untyped-call]
            if error := trainer.error_in([rows]):
                raise TrainingError(error)
            loss = trainer.training_step(model, rows, None)
        optimizer.step()
    if not torch.isfinite(loss):
        raise TrainingError("the loss of the first step is not a number; the model or its dtype is at fault")
    return {
        "questions": len(setup.questions),
        "steps": recipe.max_steps or math.ceil(len(setup.questions) // _asked(recipe) * recipe.iterations * recipe.epochs),
        "trained_parameters": count_parameters(trainer.wrapped, setup.parts)["trained"],
        "reward_of_the_first_step": round(trainer.last_reward, 4),
        "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None,
    }
