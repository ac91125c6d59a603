"""What sums in floating point depend on beside the versions of packages: another machine gives other last digits."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch


def machine() -> dict[str, str]:
    """The processor, the instructions that torch uses of it, how many threads share the work, and the GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "GPU": gpu,
    }


@cache
def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
