"""The checkpoints that transformers' Trainer leaves in the folder of a run."""

from __future__ import annotations

from pathlib import Path


def checkpoints(output: Path) -> list[Path]:
    """The checkpoints of a run, the newest last."""
    found = [path for path in output.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rsplit("-", 1)[1])
