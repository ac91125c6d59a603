"""transformers' Trainer with what FINER's runs need beside it: loss on the answers, atomic checkpoints, clear ends.

Trainer rather than TRL's SFTTrainer (both tried, trl 1.16): with default settings SFTTrainer trains on the
questions as well, and with assistant_only_loss it refuses a chat template without generation marks that
it does not know, LLaVA-1.5's form among them; benchmarks/training.py has its speed beside ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from typing_extensions import override

from finer_tasks.models.adapters import without_adapter
from finer_tasks.training.tuning.encoding import IGNORED
from finer_tasks.training.tuning.lengths import GroupedOrder
from finer_tasks.training.tuning.meter import Meter
from finer_tasks.training.tuning.modules import Parts
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.running import RunTrainer

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import TrainRecipe


class FinerTrainer(RunTrainer):
    """Trainer over a mixture."""

    def __init__(
        self,
        recipe: TrainRecipe,
        parts: Parts,
        order: GroupedOrder,
        meter: Meter,
        progress: Progress,
        evaluate_tasks: Callable[[int], dict[str, float]] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(recipe, parts, progress, evaluate_tasks, **arguments)
        self.order, self.meter = order, meter
        # The loss below is a mean over all answer tokens of a step, over its passes and processes.
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
        self._keeps = recipe.loss_on == "answers" and _takes_logits_to_keep(self.model)

    @override
    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy summed over the answer tokens, divided by their number in the whole step."""
        self.meter.count(inputs)
        labels = inputs["labels"]
        rest = {name: value for name, value in inputs.items() if name != "labels"}
        positions = predicting_positions(labels)
        wanted = {"logits_to_keep": positions} if self._keeps else {}
        logits = model(**rest, **wanted).logits
        logits = logits if self._keeps else logits[:, positions]
        targets = labels[:, positions + 1]
        loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
        loss = loss / (num_items_in_batch if num_items_in_batch is not None else targets.ne(IGNORED).sum())
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the gradients are averaged over processes
        return (loss, logits) if return_outputs else loss

    def waited(self, seconds: float) -> None:
        """As RunTrainer's, and tells the meter."""
        super().waited(seconds)
        self.meter.wait(seconds)

    def error_in(self, samples: list[Any]) -> str | None:
        """The message of a conversation that could not be encoded."""
        return next((batch["error"] for batch in samples if "error" in batch), None)

    @override
    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedOrder:
        return self.order

    def speed(self) -> dict[str, float]:
        """As the meter tells it."""
        return self.meter.report()


def predicting_positions(labels: torch.Tensor) -> torch.Tensor:
    """Positions whose next token bears the loss in any row of labels of shape (batch, length)."""
    return labels[:, 1:].ne(IGNORED).any(0).nonzero().flatten()


def _takes_logits_to_keep(model: Any) -> bool:
    return "logits_to_keep" in inspect.signature(without_adapter(model).forward).parameters
