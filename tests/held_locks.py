"""A lock that another process would hold."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of `finer_tasks.writing.locked` on a descriptor of its own.

    lmms-eval, once it ran, makes every FileLock of its process reentrant: two of them would not exclude each other here.
    """
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    lock.unlink()
