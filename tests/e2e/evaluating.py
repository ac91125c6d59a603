"""An evaluation as lmms-eval's command makes it, within this process: starting the command anew takes far longer than a few documents do."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from lmms_eval.evaluator import simple_evaluate
from lmms_eval.loggers.evaluation_tracker import EvaluationTracker
from lmms_eval.tasks import TaskManager

from finer_tasks.runs.reading import Run, read_run

# What the command sets where the user says nothing, and simple_evaluate does not.
DEFAULTS = argparse.Namespace(
    reasoning_tags='[["<think>", "</think>"], ["<analysis>", "</analysis>"]]', process_with_media=False
)

ALL_VARIANTS = (
    *(f"finer_mini_fine_{v}" for v in ("attrseek", "attrseek1", "cot", "cot_fewshot", "text", "both", "parent_only")),
    "finer_mini_coarse_attrseek",
    "finer_mini_attributes",
    "finer_mini_attributes_text",
    "finer_mini_fine",
)


@cache
def _index() -> TaskManager:
    """Our tasks without the thousands of others, which take seconds to read."""
    return TaskManager(include_defaults=False)


def evaluate(
    tasks: Sequence[str], output: Path, model: str = "finer_hf", model_args: str = "pretrained=finer-mini", **options: Any
) -> Run:
    """`lmms-eval --model … --tasks … --log_samples --output_path OUTPUT`, and what it wrote, read back."""
    write(tasks, output, _index(), model, model_args, **options)
    return read_run(output)


def write(
    tasks: Sequence[str],
    output: Path,
    index: TaskManager,
    model: str = "finer_hf",
    model_args: str = "pretrained=finer-mini",
    **options: Any,
) -> None:
    """The same with the tasks of an index, not read back."""
    manager = copy.copy(index)
    manager.model_name = model
    date = f"{datetime.now():%Y%m%d_%H%M%S}"
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model=model, model_args=model_args, tasks=manager.match_tasks(list(tasks)), task_manager=manager,
        evaluation_tracker=tracker, cli_args=DEFAULTS, datetime_str=date, **{"batch_size": 8, **options},
    )  # fmt: skip
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples, datetime_str=date)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])
