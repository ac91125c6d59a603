"""What every kind of run keeps to, whatever it learns from: atomic checkpoints, clear ends, a full account of its steps."""

from __future__ import annotations

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
from transformers import Trainer, TrainerCallback
from typing_extensions import override

from finer_tasks.errors import OutputError
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.modules import Parts
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.training.tuning.run_folder import delete_older, last_checkpoint

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import Run

PARTIAL = ".partial"


class RunTrainer(Trainer):
    """Trainer of a run.

    `evaluate_tasks`, if given, is called every recipe.evaluation.every steps with the step and returns figures to log.
    """

    def __init__(
        self,
        recipe: Run,
        parts: Parts,
        progress: Progress,
        evaluate_tasks: Callable[[int], dict[str, float]] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.recipe, self.parts, self.progress, self.evaluate_tasks = recipe, parts, progress, evaluate_tasks
        self._step_loss: Any = 0.0
        self._saving = False
        self.add_callback(_Begin(self))

    @override
    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """As Trainer's, timed; data that could not be read end the run with their message."""
        started = time.perf_counter()
        samples, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.waited(time.perf_counter() - started)
        if broken := self.error_in(samples):
            raise TrainingError(f"{broken}. {self._last_good()}")
        return samples, count

    def waited(self, seconds: float) -> None:
        """Add time in which a step waited for its data."""
        self.progress.waited += seconds

    def error_in(self, samples: list[Any]) -> str | None:
        """What is wrong with the batches of a step, if anything."""
        return None

    def may_stop(self) -> bool:
        """Whether a run that is stopped after this step can go on from a checkpoint of it."""
        return True

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
        """Log what is known of all steps since the last report, also of those before a resume."""
        if "loss" in logs:
            before = [entry["step"] for entry in self.state.log_history if "loss" in entry]
            logs = {**logs, **self.means(since=int(before[-1]) if before else 0), **self.speed()}
        elif "train_loss" in logs:
            logs = {**logs, "train_loss": self.progress.mean()}
        super().log(logs, start_time)

    def means(self, since: int = 0) -> dict[str, float]:
        """Means over the steps after step `since`."""
        return {"loss": self.progress.mean(since)}

    def speed(self) -> dict[str, float]:
        """Figures of speed since the last report."""
        return {}

    def account(self) -> dict[str, Any]:
        """What a record says of how it went."""
        return {"mean_loss": self.progress.mean(), "loss": self.logged("loss")}

    def logged(self, name: str) -> list[dict[str, float]]:
        """A figure at each step where it was logged."""
        return [{"step": entry["step"], name: entry[name]} for entry in self.state.log_history if name in entry]

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

    def __init__(self, trainer: RunTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.trainer.progress.start()
        self.trainer.run_due_tasks()


class StopOnSignal(TrainerCallback):
    """Within its block, SIGTERM (Slurm, spot machines) and the first Ctrl-C end the run after this step with a checkpoint."""

    def __init__(self, trainer: RunTrainer) -> None:
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
        if caught and self.trainer.may_stop():
            control.should_save = control.should_training_stop = True

    def _catch(self, number: int, _: Any) -> None:
        if self.caught is not None:
            signal.signal(number, self._before[number] or signal.SIG_DFL)  # the second one is obeyed at once
        self.caught = number
