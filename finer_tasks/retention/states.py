"""The states of a model that are compared: before tuning, its checkpoints, and after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.errors import ModelError, in_one_line
from finer_tasks.models.arguments import model_arguments
from finer_tasks.models.checkpoints import checkpoints, step_of
from finer_tasks.models.fingerprint import weights_fingerprint

BEFORE, AFTER = "before", "after"
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class State:
    """A name, the step of its run (None where it is of none), and how lmms-eval loads it."""

    name: str
    step: int | None
    model_args: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The model arguments one by one."""
        return model_arguments(self.model_args)

    @property
    def weights(self) -> str:
        """What identifies its weights."""
        return weights_fingerprint(self.arguments)


def states_of_run(run: Path) -> list[State]:
    """The base model of a run of `finer train`, its checkpoints, and the adapter it ended with. Raises ModelError.

    A last checkpoint at the run's last step is the adapter it ended with, and is left out.
    """
    base, steps = _base_of(run)
    found = [State(BEFORE, 0, f"pretrained={base}")]
    for checkpoint in checkpoints(run):
        if (checkpoint / _ADAPTER).is_file() and step_of(checkpoint) != steps:
            found.append(State(checkpoint.name, step_of(checkpoint), f"pretrained={base},peft={checkpoint}"))
    if steps is not None:
        found.append(State(AFTER, steps, f"pretrained={base},peft={run}"))
    if len(found) == 1:
        raise ModelError(f"{run} holds no adapter yet, neither in a checkpoint nor of a finished run")
    return found


def states_of_models(before: str, after: str) -> list[State]:
    """Two models by their model arguments."""
    return [State(BEFORE, None, before), State(AFTER, None, after)]


def _base_of(run: Path) -> tuple[str, int | None]:
    """The base model that a run names, and its steps if it has ended."""
    ended, started = run / "training.json", run / "run.json"
    path = ended if ended.is_file() else started
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        recipe = record["recipe"] if path == ended else record
        base, steps = recipe["model"], record["steps"] if path == ended else None
        if not isinstance(base, str) or not isinstance(steps, (int, type(None))):
            raise TypeError("its model is no text, or its steps are no number")
    except FileNotFoundError as error:
        raise ModelError(f"{run} is no run of `finer train`: it holds neither training.json nor run.json") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({in_one_line(error)}), so that the base model is not known") from error
    return base, steps
