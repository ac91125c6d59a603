"""The folder of an experiment belongs to one plan: another one needs another folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from finer_tasks.training.errors import TrainingError
from finer_tasks.writing import write_text


def claim(plan: Mapping[str, Any], output: Path, done: Sequence[str]) -> bool:
    """Write plan.json into a folder that is new, or whose plan is the same or has none of the folders `done`.

    Returns whether it was written. Raises TrainingError where another plan was begun, or other things are there.
    """
    now, path = json.loads(json.dumps(plan, default=str)), output / "plan.json"
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; give another --output")
    if path.exists():
        before = _read_plan(path)
        changed = [key for key in now if before.get(key) != now[key]]
        if not changed:
            return False
        if any((output / name).exists() for name in done):
            raise TrainingError(
                f"{output} holds a run with another {changed[0]} ({before.get(changed[0])!r}); give another --output"
            )
    elif output.exists() and any(output.iterdir()):
        raise TrainingError(f"{output} is not empty and holds no run; give another --output")
    write_text(path, json.dumps(now, indent=2) + "\n")
    return True


def _read_plan(path: Path) -> dict[str, Any]:
    with suppress(ValueError):
        before = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(before, dict):
            return before
    raise TrainingError(f"{path} is damaged, so that nothing tells what the run was. Give another --output")
