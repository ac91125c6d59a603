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
PACKAGES = ("lmms_eval", "torch", "transformers", "peft", "accelerate")


def save(name: str, figures: dict[str, Any]) -> None:
    """Print the figures and write them to results/<date>-<name>.json."""
    text = json.dumps(head(name) | {"figures": figures}, indent=2)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}.json").write_text(text + "\n", encoding="utf-8")


def head(name: str) -> dict[str, Any]:
    """When, on what, and with which versions; null where a package is not installed."""
    from finer_tasks import __version__
    from finer_tasks.models.machine import machine

    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": {**machine(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"finer-tasks": __version__} | {package: version(package) for package in PACKAGES},
    }


def version(package: str) -> str | None:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
