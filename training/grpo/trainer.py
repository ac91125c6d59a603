"""TRL's GRPOTrainer with what every run keeps to (tuning/running.py). Importing this needs the package trl."""

from __future__ import annotations

from typing import Any

import torch
from trl import GRPOTrainer
from typing_extensions import override

from finer_tasks.training.grpo.order import GroupOrder
from finer_tasks.training.grpo.recipe import GrpoRecipe
from finer_tasks.training.tuning.modules import Parts
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.running import RunTrainer


class GrpoRunTrainer(RunTrainer, GRPOTrainer):
    """Trainer over questions; the arguments are GRPOTrainer's."""

    def __init__(self, recipe: GrpoRecipe, parts: Parts, progress: Progress, **arguments: Any) -> None:
        self.grpo = recipe
        self.last_reward = float("nan")
        self.rows = arguments["train_dataset"]
        super().__init__(recipe, parts, progress, **arguments)

    @override
    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        """As GRPOTrainer's, of all processes; keeps the mean."""
        rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self.last_reward = float(rewards.mean())
        return rewards

    @override
    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm: Any, *rest: Any, **named: Any) -> None:
        if self.progress.steps < self.state.global_step:
            self.progress.rewards.append(self.last_reward)
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *rest, **named)

    @override
    def _get_train_sampler(self, dataset: Any = None) -> GroupOrder:
        recipe, rows = self.grpo, self.rows if dataset is None else dataset
        repeats = self.args.gradient_accumulation_steps * recipe.iterations  # all answers of a step are drawn at once
        questions = recipe.global_batch_size // recipe.group_size
        return GroupOrder(len(rows), questions, recipe.group_size, repeats, recipe.seed)

    @override
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As RunTrainer's; the mean reward is that of all steps since the last report, TRL's forgets those before a resume."""
        self._metrics["train"].pop("reward", None)
        super().log(logs, start_time)

    @override
    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None beside checkpoints: the run's own card is written at its end."""

    @override
    def _send_telemetry(self) -> None:
        """Nothing: TRL would tell its makers of the run."""

    @property
    def wrapped(self) -> torch.nn.Module:
        """The model with its adapter."""
        assert self.model is not None
        return self.model

    def means(self, since: int = 0) -> dict[str, float]:
        """With the mean reward."""
        rewards = self.progress.rewards[since:]
        return {"reward": sum(rewards) / len(rewards) if rewards else float("nan")} | super().means(since)

    def account(self) -> dict[str, Any]:
        """With rewards, and the tokens of all questions and answers."""
        seen = {"tokens": int(self.state.num_input_tokens_seen)}
        return {"mean_reward": self.means()["reward"], "reward": self.logged("reward")} | super().account() | seen

    def error_in(self, samples: list[Any]) -> str | None:
        """The message of an image that cannot be decoded."""
        return next((row["error"] for rows in samples for row in rows if row["error"]), None)

    def may_stop(self) -> bool:
        """Not while there are answers left to learn from, which no checkpoint holds."""
        return self.state.global_step % self.grpo.iterations == 0
