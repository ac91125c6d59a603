"""One writer at a time of a file or folder, for what takes too long to be written twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from finer_tasks.errors import OutputError
from finer_tasks.writing import writing


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from writing `path`; raises OutputError at once where one does.

    The lock is the kernel's (flock on a file beside `path`), so that it ends with its process, however that ends.
    """
    target = path.resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise OutputError(f"{path} is being written by another process. Wait for its end, or give another output") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
