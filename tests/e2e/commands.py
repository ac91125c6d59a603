"""Running the installed commands as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def lmms_eval(*arguments: str, data: Path, timeout: int = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """`lmms-eval ARGUMENTS` with FINER_DATA_DIR=data."""
    return _run([str(BIN / "lmms-eval"), *arguments], data, timeout, environment)


def finer(*arguments: str, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`finer ARGUMENTS` with FINER_DATA_DIR=data."""
    return _run([str(BIN / "finer"), *arguments], data, 300, environment)


def two_processes(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """lmms-eval under accelerate with two CPU processes."""
    launch = [
        str(BIN / "accelerate"),
        "launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--main_process_port",
        "0",
    ]
    return _run([*launch, "-m", "lmms_eval", *arguments], data, 600, {})


def _run(command: list[str], data: Path, timeout: int, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FINER_")}
    variables = inherited | {"FINER_DATA_DIR": str(data), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"} | environment
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
