"""Small runs of `finer train`: their command line, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

SMALL = ("lora.rank=4", "max_steps=6", "global_batch_size=8", "micro_batch_size=4", "save_every=2", "keep=3", "log_every=4")


def arguments(mixture: Path, output: Path, *more: str) -> list[str]:
    """Of the finer command."""
    return ["train", "mini-lora", f"mixture={mixture}", f"output={output}", *SMALL, *more]


def record(output: Path) -> dict[str, Any]:
    """What a finished run tells of itself."""
    found: dict[str, Any] = json.loads((output / "training.json").read_text())
    return found


def losses(output: Path, step: int = 6) -> list[float]:
    """The loss of every step up to a checkpoint."""
    found: list[float] = json.loads((output / f"checkpoint-{step}/progress.json").read_text())["losses"]
    return found


def weights(output: Path) -> dict[str, torch.Tensor]:
    """Of the adapter and the projector."""
    return load_file(output / "adapter_model.safetensors")


def same_weights(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same weights in every bit."""
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
