"""transformers' Trainer with what FINER's runs need beside it: loss on the answers, atomic checkpoints, clear ends.

Trainer rather than TRL's SFTTrainer (both tried, trl 1.16): with default settings SFTTrainer trains on the
questions as well, and with assistant_only_loss it refuses a chat template without generation marks that
it does not know, LLaVA-1.5's form among them; benchmarks/training.py has its speed beside ours.
"""

from __future__ import annotations

import inspect
import math
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch.nn import functional
from transformers import Trainer, TrainerCallback
from typing_extensions import override

from finer_tasks.errors import OutputError
from finer_tasks.models.adapters import without_adapter
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.encoding import IGNORED
from finer_tasks.training.tuning.lengths import GroupedOrder
from finer_tasks.training.tuning.meter import Meter
from finer_tasks.training.tuning.modules import Parts
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.run_folder import delete_older, last_checkpoint

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import TrainRecipe

PARTIAL = ".partial"


class FinerTrainer(Trainer):
    """Trainer over a mixture.

    `evaluate_tasks`, if given, is called every recipe.evaluation.every steps with the step and returns figures to log.
    """

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
        super().__init__(**arguments)
        self.recipe, self.parts, self.order, self.meter = recipe, parts, order, meter
        self.progress, self.evaluate_tasks = progress, evaluate_tasks
        # The loss below is a mean over all answer tokens of a step, over its passes and processes.
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
        self._keeps = recipe.loss_on == "answers" and _takes_logits_to_keep(self.model)
        self._step_loss: Any = 0.0
        self._saving = False
        self.add_callback(_Begin(self))

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

    @override
    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """As Trainer's, and adds up the loss of the step."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._step_loss = self._step_loss + loss.detach()
        return loss

    @override
    def _run_epoch(self, *arguments: Any, **named: Any) -> None:
        """As Trainer's, but it does not take another step where the checkpoint was the last one."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*arguments, **named)  # type: ignore[no-untyped-call]

    @override
    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """As Trainer's, timed; a conversation that could not be encoded ends the run with its message."""
        started = time.perf_counter()
        samples, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        waited = time.perf_counter() - started
        self.meter.wait(waited)
        self.progress.waited += waited
        broken = next((batch["error"] for batch in samples if "error" in batch), None)
        if broken:
            raise TrainingError(f"{broken}. {self._last_good()}")
        return samples, count

    @override
    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As Trainer's, the projector with a learning rate of its own."""
        optimizer = super().create_optimizer(model)
        named: Any = self.model
        projector = {id(p) for name, p in named.named_parameters() if f"{self.parts.projector}." in name}
        for group in list(optimizer.param_groups):
            own = [p for p in group["params"] if id(p) in projector]
            if own and len(own) < len(group["params"]):
                group["params"] = [p for p in group["params"] if id(p) not in projector]
                shared = {key: value for key, value in group.items() if key != "params"}
                optimizer.add_param_group({**shared, "params": own, "lr": self.recipe.projector_learning_rate})
            elif own:
                group["lr"] = self.recipe.projector_learning_rate
        return optimizer

    @override
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss over all steps since the last report, also those before a resume, and the speed."""
        if "loss" in logs:
            before = [entry["step"] for entry in self.state.log_history if "loss" in entry]
            logs = {**logs, "loss": self.progress.mean(since=int(before[-1]) if before else 0), **self.meter.report()}
        elif "train_loss" in logs:
            logs = {**logs, "train_loss": self.progress.mean()}
        super().log(logs, start_time)

    @override
    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedOrder:
        return self.order

    @override
    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm: Any, *rest: Any, **named: Any) -> None:
        if self.progress.steps < self.state.global_step:  # an epoch ends with a second call after its last step
            self.progress.add(self._step_loss)
            self._step_loss = 0.0
        if self.control.should_log or self.control.should_save:
            self.settle()
            self._require_gradient(grad_norm)
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *rest, **named)
        self.run_due_tasks()

    def settle(self) -> None:
        """Bring the losses of all steps up to now from the device; raises TrainingError if one is not a number."""
        known = len(self.progress.losses)
        self.progress.settle(lambda losses: self.accelerator.reduce(losses, reduction="mean"))
        broken = next((step for step, loss in enumerate(self.progress.losses[known:], known + 1) if not math.isfinite(loss)), 0)
        if broken == 1:
            raise TrainingError(
                "the loss is not a number at step 1, before anything was learned: the weights of the model or its dtype are "
                f"at fault, not the learning rate. {self._advice('Check the model with dtype=float32')}"
            )
        if broken:
            advice = self._advice("Lower learning_rate, or check the mixture")
            raise TrainingError(f"the loss is not a number at step {broken}. {advice}. {self._last_good()}")

    def _require_gradient(self, grad_norm: Any) -> None:
        """Raise TrainingError for a gradient that is not a number, unless loss scaling left the step out to lower the scale."""
        if grad_norm is None or math.isfinite(float(grad_norm)):
            return
        scaler = self.accelerator.scaler
        if scaler is None or scaler.get_scale() < 1:
            advice = self._advice("Lower learning_rate, or check the mixture")
            raise TrainingError(f"the gradient is not a number at step {self.state.global_step}. {advice}. {self._last_good()}")

    def _advice(self, otherwise: str) -> str:
        if self.args.mixed_precision == "fp16":
            return "float16 holds no number above 65504: give dtype=bfloat16, or float32"
        return otherwise

    def run_due_tasks(self) -> None:
        """Evaluate the recipe's tasks if this is a step for it, also where a run stopped before it did."""
        evaluation, step = self.recipe.evaluation, self.state.global_step
        if evaluation and step and step % evaluation.every == 0:
            self.run_tasks()

    def run_tasks(self) -> dict[str, float]:
        """Evaluate the recipe's tasks now, once a step, and log the figures."""
        step, found = self.state.global_step, self.progress.evaluations
        if self.evaluate_tasks and step not in found:
            found[step] = self.evaluate_tasks(step)
            self.log({f"eval_{name}": value for name, value in found[step].items()})
        return found.get(step, {})

    @override
    def _get_output_dir(self, trial: Any) -> str:
        folder = str(super()._get_output_dir(trial))
        return os.path.join(folder, PARTIAL) if self._saving else folder

    @override
    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the checkpoint under another name, then rename it, then delete older ones."""
        output = Path(str(self.args.output_dir))
        if self.args.should_save:
            shutil.rmtree(output / PARTIAL, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._saving = True
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                self.progress.save(output / PARTIAL / f"checkpoint-{self.state.global_step}")
        except (OSError, RuntimeError, SafetensorError, OutputError) as error:
            free = shutil.disk_usage(output).free / 2**30
            raise TrainingError(
                f"the checkpoint of step {self.state.global_step} could not be written to {output}: {error} "
                f"({free:.1f} GiB free). {self._last_good()}"
            ) from error
        finally:
            self._saving = False
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            name = f"checkpoint-{self.state.global_step}"
            if not (output / name).exists():
                os.replace(output / PARTIAL / name, output / name)
            shutil.rmtree(output / PARTIAL, ignore_errors=True)
            delete_older(output, self.recipe.keep)

    def _last_good(self) -> str:
        found = last_checkpoint(Path(str(self.args.output_dir)))
        return f"The last good checkpoint is {found}; the same command resumes from it" if found else "No checkpoint yet"


class _Begin(TrainerCallback):
    """What comes before the first step, or before the first one after a resume."""

    def __init__(self, trainer: FinerTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.trainer.progress.start()
        self.trainer.run_due_tasks()


class StopOnSignal(TrainerCallback):
    """Within its block, SIGTERM (Slurm, spot machines) and the first Ctrl-C end the run after this step with a checkpoint."""

    def __init__(self, trainer: FinerTrainer) -> None:
        self.trainer = trainer
        self.caught: int | None = None
        self._before: dict[int, Any] = {}
        trainer.add_callback(self)

    def __enter__(self) -> StopOnSignal:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """All processes stop at the same step, whichever of them got the signal first."""
        caught = self.caught is not None
        if self.trainer.accelerator.num_processes > 1:
            flag = torch.tensor(int(caught), device=self.trainer.accelerator.device)
            caught = bool(self.trainer.accelerator.reduce(flag, reduction="sum"))
            self.caught = self.caught or (signal.SIGTERM if caught else None)
        if caught:
            control.should_save = control.should_training_stop = True

    def _catch(self, number: int, _: Any) -> None:
        if self.caught is not None:
            signal.signal(number, self._before[number] or signal.SIG_DFL)  # the second one is obeyed at once
        self.caught = number


def predicting_positions(labels: torch.Tensor) -> torch.Tensor:
    """Positions whose next token bears the loss in any row of labels of shape (batch, length)."""
    return labels[:, 1:].ne(IGNORED).any(0).nonzero().flatten()


def _takes_logits_to_keep(model: Any) -> bool:
    return "logits_to_keep" in inspect.signature(without_adapter(model).forward).parameters
