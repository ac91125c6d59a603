"""Evaluating the models that an experiment trains, by the plain lmms-eval command, each into a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from finer_tasks.runs.evaluate import run_lmms_eval
from finer_tasks.writing import replacing


@dataclass(frozen=True)
class Limits:
    """Of an evaluation: the first documents of each task, a shorter limit on replies (None for none), and the batch size."""

    documents: int | None
    max_new_tokens: int | None
    batch_size: str = "64"


def evaluate(
    folder: Path, model_args: str, tasks: Sequence[str], limits: Limits, variables: Mapping[str, str] | None = None
) -> None:
    """Evaluate a model; nothing where the folder is there. `variables` are added to those of the environment."""
    if folder.exists():
        return
    began = time.monotonic()
    options = ["--gen_kwargs", f"max_new_tokens={limits.max_new_tokens}"] if limits.max_new_tokens else []
    with replacing(folder) as fresh:
        run_lmms_eval(fresh, "finer_hf", model_args, tasks, limits.batch_size, limits.documents, options, variables)
    logger.info(f"{folder.name} evaluated in {time.monotonic() - began:.0f} s")
