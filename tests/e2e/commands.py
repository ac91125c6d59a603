"""Running the installed commands as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def lmms_eval(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """`lmms-eval ARGUMENTS` with FINER_DATA_DIR=data."""
    return _run([str(BIN / "lmms-eval"), *arguments], data)


def finer(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """`finer ARGUMENTS` with FINER_DATA_DIR=data."""
    return _run([str(BIN / "finer"), *arguments], data)


def two_processes(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """lmms-eval in two processes on the CPU, by torchrun: `accelerate launch --cpu` starts a single one."""
    launch = "--standalone --nproc_per_node 2 -m lmms_eval"
    return _run([str(BIN / "torchrun"), *launch.split(), *arguments], data, ACCELERATE_USE_CPU="true")


def _run(command: list[str], data: Path, **more: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FINER_")}
    own = {"FINER_DATA_DIR": str(data), "FINER_TASKS_DIR": str(data / "own-tasks")}
    variables = inherited | own | {"HF_HUB_OFFLINE": "1"} | more
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
