"""Which folders of prepared data are being read, told by shared locks that end with the process, however it ends.

A preparation removes the older folders of its dataset but those that a process reads. Where the file system
has no locks, none is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

MARKER = "concepts.json"  # locked; a folder without it is no prepared dataset
TEMPORARY = ".tmp-"  # what unfinished work in a dataset's folder is called
_held: dict[Path, int] = {}


def hold(folder: Path) -> bool:
    """Keep a folder from being removed until this process ends; False if it is not there or being removed."""
    marker = folder / MARKER
    if folder not in _held:
        try:
            handle = os.open(marker, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not _lock(handle, fcntl.LOCK_SH, otherwise=True):
            os.close(handle)
            return False
        _held[folder] = handle
    return marker.exists()  # it may have gone between opening and locking


def remove_unused(parent: Path, keep: str) -> None:
    """Remove the folders of prepared data in `parent` that nobody reads, but the one named `keep`."""
    for folder in parent.iterdir():
        if folder.name == keep or not (folder / MARKER).exists():
            continue
        try:
            handle = os.open(folder / MARKER, os.O_RDWR)  # NFS asks for it before it locks
        except OSError:
            continue
        try:
            if _lock(handle, fcntl.LOCK_EX, otherwise=False):
                gone = parent / f"{TEMPORARY}{folder.name}"  # swept by the next preparation if this one dies here
                os.replace(folder, gone)
                shutil.rmtree(gone, ignore_errors=True)
        finally:
            os.close(handle)


def _lock(handle: int, kind: int, otherwise: bool) -> bool:
    """Whether the lock was taken; `otherwise` where the file system has none."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return otherwise
    return True
