"""Writing weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from finer_tasks.errors import OutputError, in_one_line
from finer_tasks.writing import writing


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn what the disk refuses while weights are written into an OutputError."""
    try:
        with writing(path):
            yield
    except SafetensorError as error:  # which hides the system's error
        raise OutputError(f"{path} cannot be written: {in_one_line(error)}") from error
