"""How long replies may be, where a backend takes another limit than the task states.

lmms-eval's vllm takes the larger of the task's `max_new_tokens` and its own, and logs the task's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loguru import logger


def state_limits(model: Any, configs: Iterable[Any]) -> None:
    """Write the limits that hold into the configs of tasks, where requests and results read them, and tell of those raised."""
    holding = getattr(model, "_select_max_new_tokens", None)
    if not callable(holding):
        return
    raised = {}
    for config in configs:
        settings = config.generation_kwargs or {}
        limit, stated = holding(settings.get("max_new_tokens")), settings.get("max_new_tokens")
        if limit != stated:
            config.generation_kwargs = {**settings, "max_new_tokens": limit}
            raised[config.task] = f"{stated} to {limit}"
    if raised:
        told = ", ".join(f"{task} from {change}" for task, change in raised.items())
        logger.warning(
            f"the model's own max_new_tokens raises the limit of replies: {told}. Results record it. To keep the limits of the "
            "tasks, add max_new_tokens=1 to --model_args"
        )
