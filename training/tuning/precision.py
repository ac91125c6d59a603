"""In which number formats a run computes, and in which it keeps what it trains."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import torch

from finer_tasks.training.errors import TrainingError

if TYPE_CHECKING:
    from finer_tasks.training.tuning.recipe import Run

Precision = Literal["no", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def mixed_precision(recipe: Run) -> Precision:
    """What matrix products are computed in, "no" meaning float32; float16 needs the loss scaling that only GPUs have."""
    if recipe.dtype == "float16":
        if not torch.accelerator.is_available():
            raise TrainingError(
                "dtype=float16 needs a GPU: its small gradients vanish without loss scaling, which a CPU does not do. "
                "Give dtype=bfloat16 or float32"
            )
        return "fp16"
    automatic = recipe.dtype == "auto" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16" if recipe.dtype == "bfloat16" or automatic else "no"


def keep_in_float32(model: torch.nn.Module) -> None:
    """Hold the trained weights in float32: bfloat16 lies in steps of up to 1/128 of a weight, and most updates are smaller."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Computing as a training step does, for what runs the model beside it."""
    return torch.autocast(device.type, dtype=_DTYPES.get(precision), enabled=precision != "no")
