"""One side of a gate, from wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.gate.baseline import is_baseline, read_baseline
from finer_tasks.gate.measured import Measured, measured
from finer_tasks.runs.reading import read_run


def read_measured(path: Path) -> Measured:
    """A baseline file, or the newest run below a folder; raises ResultsError."""
    return read_baseline(path) if is_baseline(path) else measured(read_run(path))
