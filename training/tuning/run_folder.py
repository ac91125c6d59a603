"""The folder of a run: what is in it, whether a run may go on there, and from which checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger
from safetensors import SafetensorError, safe_open

from finer_tasks.models.checkpoints import checkpoints, step_of
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.progress import Progress
from finer_tasks.writing import write_text

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import Run

STARTED, FINISHED = "run.json", "training.json"
# Where a run lies and how often it reports are no part of what it computes.
_FREE_TO_CHANGE = {"output", "workers", "save_every", "keep", "log_every", "report_to", "evaluation"}


def identity(recipe: Run, made_of: Mapping[str, str]) -> dict[str, Any]:
    """What must agree for a run to be resumed: the recipe, and the hashes of what it is made of by their names."""
    values = {key: value for key, value in asdict(recipe).items() if key not in _FREE_TO_CHANGE}
    as_read: dict[str, Any] = json.loads(json.dumps({**values, **made_of}, default=str))
    return as_read


def is_main_process() -> bool:
    """Whether this is the only process or the first of several, as torchrun numbers them; known before Trainer is built."""
    return int(os.environ.get("RANK", "0")) == 0


def mark_started(recipe: Run, made_of: Mapping[str, str]) -> None:
    """Note in the run's folder what it computes, once everything is loaded and checked."""
    if is_main_process():
        write_text(recipe.output / STARTED, json.dumps(identity(recipe, made_of), indent=2) + "\n")


def last_checkpoint(output: Path) -> Path | None:
    """The newest checkpoint of a run."""
    return next(reversed(checkpoints(output)), None)


def delete_older(output: Path, keep: int) -> None:
    """Delete all but the newest checkpoints of a run."""
    for checkpoint in checkpoints(output)[:-keep]:
        shutil.rmtree(checkpoint)


def checkpoint_to_resume(recipe: Run, made_of: Mapping[str, str]) -> Path | None:
    """The checkpoint to go on from; raises TrainingError if the folder holds a finished run or checkpoints of another one."""
    output = recipe.output
    found, started = last_checkpoint(output), output / STARTED
    if not is_main_process():  # the first process looks and writes for all
        return found
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; give another output")
    if (output / FINISHED).exists():
        raise TrainingError(f"{output} holds a finished run; give another output")
    if not started.exists():
        if output.exists() and any(output.iterdir()):
            raise TrainingError(f"{output} is not empty and holds no run; give another output")
        return None
    if found is None:
        return None  # stopped before its first checkpoint: nothing is lost by another recipe
    from finer_tasks.training.recipe import recipe_hash

    now = identity(recipe, made_of)
    _require_same(output, now, _read_started(started))
    _require_whole(found, sharded=recipe.sharded)
    logger.info(f"Resuming from {found} (recipe {recipe_hash(now)})")
    return found


def _read_started(path: Path) -> dict[str, Any]:
    with suppress(ValueError, OSError):
        before = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(before, dict):
            return before
    raise TrainingError(f"{path} is damaged, so that nothing tells which recipe the run was started with. Give another output")


def _require_same(output: Path, now: dict[str, Any], before: dict[str, Any]) -> None:
    changed = sorted(key for key in {*now, *before} if now.get(key) != before.get(key))
    if changed:
        key = changed[0]
        raise TrainingError(
            f"{output} holds another run: {key} is {before.get(key)!r} there and {now.get(key)!r} now. "
            "Give another output, or the recipe the run was started with"
        )


def _require_whole(checkpoint: Path, sharded: bool) -> None:
    """Refuse a checkpoint of which a part is missing or cut, for Trainer would go on without some of them."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        steps = Progress.load(checkpoint).steps
        if not state["global_step"] == steps == step_of(checkpoint):
            raise ValueError(f"trainer_state.json ends at step {state['global_step']}, progress.json at step {steps}")
        if not sharded:  # FSDP and DeepSpeed write other files
            with safe_open(checkpoint / "adapter_model.safetensors", "pt"):
                pass
            for name in ("optimizer.pt", "scheduler.pt", *(path.name for path in checkpoint.glob("rng_state*.pth"))):
                if not zipfile.is_zipfile(checkpoint / name):
                    raise ValueError(f"{name} is missing or cut")
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        older = checkpoints(checkpoint.parent)[:-1]
        place = f"step {step_of(older[-1])}" if older else "the start"
        raise TrainingError(f"{checkpoint} is damaged ({error}). Delete it to go on from {place}") from error
