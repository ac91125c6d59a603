"""Replacing files and folders in one step, so that what was there stays whole until the new one is; one writer at a time."""

from __future__ import annotations

import glob
import json
import math
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from finer_tasks.errors import BusyError, OutputError, os_error_text

_HOST = socket.gethostname().split(".")[0]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename; its folder is made if absent. Raises OutputError."""
    with replacing(path) as fresh, fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """As write_bytes, in UTF-8; lone surrogates, which UTF-8 lacks, become question marks."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def as_json(value: object) -> str:
    """The value as JSON in lines, with null for the numbers that JSON lacks."""
    return json.dumps(_finite(value), indent=2)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, where the caller makes a file or a folder; it takes the place of `path` at the end.

    If the block fails, the temporary is removed and what was at `path` stays. What killed processes of
    this machine left behind is removed first. Raises OutputError where the disk refuses.
    """
    fresh = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.new")
    with writing(path):
        if path.is_dir() and path.resolve() == Path.cwd():
            raise OutputError(f"{path} is the current folder and cannot be replaced. Give another output")
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            yield fresh
            _swap(fresh, path)
        finally:
            _remove(fresh)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses (full, read-only, not permitted, a file where a folder should be) into an OutputError."""
    try:
        yield
    except OSError as error:
        refused = Path(str(error.filename or path))
        where = "" if refused == path or refused.name.startswith(f".{path.name}.") else f" at {refused}"
        raise OutputError(f"{path} cannot be written: {os_error_text(error)}{where}. What was there is unchanged") from error


def _swap(fresh: Path, path: Path) -> None:
    if fresh.is_dir():
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; the output is a folder. Give another name")
        old = fresh.with_suffix(".old")
        if path.exists():
            os.replace(path, old)
        os.replace(fresh, path)
        _remove(old)
    else:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; the output is a file. Give another name")
        os.replace(fresh, path)


def _sweep(path: Path) -> None:
    """Remove temporaries of processes of this machine that are gone; an old folder is put back if nothing took its place."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_HOST}-*"):
        process = left.stem.rpartition("-")[2]
        if left.suffix not in (".new", ".old") or not process.isdigit() or _is_alive(int(process)):
            continue
        if left.suffix == ".old" and not path.exists():
            os.replace(left, path)
        else:
            _remove(left)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: float = 0) -> Iterator[None]:
    """Keep every other process from writing `path`; raises BusyError where one does, and still does after `wait` seconds.

    The lock is the kernel's (flock on a file beside `path`), so that it ends with its process, however that ends.
    """
    target = path.resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=wait, blocking=wait > 0)
        except Timeout:
            raise BusyError(f"{path} is being written by another process. Wait for its end, or give another output") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
