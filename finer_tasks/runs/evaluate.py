"""Running evaluations through lmms-eval's own command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from finer_tasks.errors import ResultsError
from finer_tasks.tasks.table import tasks_by_name

ARM_SUFFIXES = ("", "_text", "_both", "_attrseek", "_parent_only")


def evaluate_arms(model: str, model_args: str, tasks: Sequence[str], batch_size: str, limit: int | None) -> Path:
    """Evaluate every arm of the given direct tasks in one run; returns the folder of its results."""
    wanted = [name + suffix for name in tasks for suffix in ARM_SUFFIXES]
    unknown = [name for name in wanted if name not in tasks_by_name()]
    if unknown:
        raise ResultsError(
            f"--tasks {','.join(tasks)}: {unknown[0]!r} is no task. Give direct coarse or fine tasks, such as finer_mini_fine"
        )
    folder = Path(tempfile.mkdtemp(prefix="finer-gap-"))
    run_lmms_eval(folder, model, model_args, wanted, batch_size, limit)
    return folder


def run_lmms_eval(
    folder: Path,
    model: str,
    model_args: str,
    tasks: Sequence[str],
    batch_size: str,
    limit: int | None = None,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run `lmms-eval` as a user would, its results below `folder`; raises ResultsError if it fails.

    `limit`: only so many documents of each task. `variables` are added to those of the environment.
    """
    command = [sys.executable, "-m", "lmms_eval", "--model", model, "--tasks", ",".join(tasks), "--batch_size", batch_size]
    command += ["--model_args", model_args] if model_args else []
    command += ["--limit", str(limit)] if limit else []
    command += [*options, "--log_samples", "--output_path", str(folder)]
    done = subprocess.run(command, check=False, stdout=sys.stderr, env=os.environ | dict(variables or {}))
    if done.returncode:
        raise ResultsError(f"lmms-eval ended with exit code {done.returncode}; its messages are above")
