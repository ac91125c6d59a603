"""What every benchmark writes beside its figures: when, on what, with which versions."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def save(name: str, figures: dict[str, Any]) -> None:
    """Print the figures and write them to results/<date>-<name>.json."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    document = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": {"cpu": _cpu(), "cores": os.cpu_count(), "gpu": gpu, "system": platform.platform()},
        "versions": {package: metadata.version(package) for package in ("finer-tasks", "lmms_eval", "torch", "transformers")},
        "figures": figures,
    }
    text = json.dumps(document, indent=2)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}.json").write_text(text + "\n", encoding="utf-8")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
