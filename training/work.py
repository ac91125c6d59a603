"""The pieces of a long experiment: each done once, kept on disk, and left to whichever process takes it first.

A stopped experiment goes on with what is not done. Several processes, on one machine or on several that share the folder,
may work on it at once: each takes a piece that no other has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from loguru import logger

from finer_tasks.writing import writing

_WAIT = 2.0


@dataclass(frozen=True)
class Piece:
    """A piece of work. `result` exists when it is done, and must be written in one step; `needs` are results of others.

    kind: pieces of one kind take about as long as each other, which is what the time left is told by.
    """

    kind: str
    name: str
    result: Path
    do: Callable[[], object]
    needs: tuple[Path, ...] = ()


def work(pieces: Sequence[Piece], locks: Path) -> None:
    """Do all pieces, in their order where nothing else decides; returns when all are done, by whomever.

    `locks`: folder of the locks by which processes keep off each other's pieces; it is the same for all of them.
    """
    clock = _Clock(pieces)
    while left := [piece for piece in pieces if not piece.result.exists()]:
        ready = [piece for piece in left if all(need.exists() for need in piece.needs)]
        if not any(_take(piece, locks, clock) for piece in ready):
            time.sleep(_WAIT)  # what is left is being done by other processes, or waits for what they do


def _take(piece: Piece, locks: Path, clock: _Clock) -> bool:
    """Do a piece unless another process has it; returns whether it was done here."""
    lock = FileLock(locks / quote(piece.name, safe=" ,"))
    with writing(locks):
        locks.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
    try:
        if piece.result.exists():
            return False
        began = time.monotonic()
        piece.do()
        clock.tell(piece, time.monotonic() - began)
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
    return True


class _Clock:
    """How long pieces took, and what that says of those left."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces, self._took = pieces, dict[str, list[float]]()

    def tell(self, piece: Piece, seconds: float) -> None:
        self._took.setdefault(piece.kind, []).append(seconds)
        left = [other.kind for other in self._pieces if not other.result.exists()]
        done = len(self._pieces) - len(left)
        logger.info(f"{piece.name} done in {seconds:.0f} s; {done} of {len(self._pieces)} pieces done{self._remaining(left)}")

    def _remaining(self, left: Sequence[str]) -> str:
        if not left or any(kind not in self._took for kind in left):
            return ""
        seconds = sum(sum(self._took[kind]) / len(self._took[kind]) for kind in left)
        return f", about {seconds / 60:.0f} minutes left for one process"
