"""Replies on disk as they come, so that a run that was killed goes on where it stopped.

    FOLDER/<fingerprint of the settings>/settings.json     what every reply inside depends on, beside its request
    FOLDER/<fingerprint of the settings>/replies-0.jsonl   one reply a line; a file of its own for each process that writes

Lines are only appended, each with a checksum. They are with the system before the next batch begins, so that a killed process
loses none. Against a failure of the machine they are forced onto the disk after a batch, no more than once a second.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import xxhash
from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from finer_tasks.errors import BusyError, at_line, os_error_text
from finer_tasks.parsing import explain, parse_json
from finer_tasks.writing import as_json, locked, write_text, writing

# Seconds between two times that what was written is forced onto the disk.
_SYNCED_EVERY = 1.0
_DAMAGES_SHOWN = 5
Place = tuple[str, str, int]


class Kept(BaseModel):
    """A reply to one request, or to one of its rounds.

    Attributes:
        key: of all that the reply depends on beside the settings; see `resuming`.
        place: what lmms-eval calls the document: task, split and number.
        round: how many replies of the same request came before.
        tokens: how many the prompt and the reply have.
        margin: the least margin of the reply, where it is known.
        ids: the reply's own tokens with its end, where a later round may go on from them.
        ended: whether the reply closed with its end.
        loss: of a continuation that was scored: its mean negative log-likelihood.
        greedy: of such a continuation: whether greedy decoding gives it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    place: Place
    round: int = 0
    reply: str = ""
    tokens: tuple[int, int] = (0, 0)
    margin: float | None = None
    ids: tuple[int, ...] | None = None
    ended: bool = False
    loss: float | None = None
    greedy: bool = False


class Journal:
    """The replies below a folder that were made with the same settings, and a file of one's own for more.

    Safe to read from several threads while one writes. Raises OutputError where the folder cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.generated = 0
        self._own = folder / hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        with writing(folder):
            known = (self._own / "settings.json").is_file()
        if not known:
            write_text(self._own / "settings.json", as_json(settings) + "\n")
        held = ExitStack()
        path = _free_file(self._own, held)
        self._known: dict[str, Kept] = {}
        for file in sorted(self._own.glob("replies-*.jsonl")):
            with writing(file):
                content = file.read_bytes()
            self._known |= {kept.key: kept for kept in _read(file, content)}
        self._places = {kept.place for kept in self._known.values()}
        self._reused: set[tuple[str, Place]] = set()
        self._before = frozenset(self._known)
        self._file = _Appended(path)
        held.callback(self._file.close)
        self.close = weakref.finalize(self, held.close)
        self._say_what_is_there(settings)

    @property
    def reused(self) -> int:
        """For how many requests, or rounds of them, an earlier run had left the reply."""
        return len(self._reused)

    def knows(self, place: Place) -> bool:
        """Whether a request about this document was answered; tells which requests are worth a look."""
        return place in self._places

    def find(self, key: str, place: Place) -> Kept | None:
        """The reply with this key, for a request about this document."""
        if key in self._before:
            self._reused.add((key, place))
        return self._known.get(key)

    def add(self, replies: Sequence[Kept]) -> None:
        """Append the replies of a batch. Where the disk refuses, say so once and go on without: the run is not lost by it."""
        self._known |= {kept.key: kept for kept in replies}
        self._places |= {kept.place for kept in replies}
        self.generated += len(replies)
        self._file.append(b"".join(map(_line, replies)))

    def sync(self) -> None:
        """Force what was written onto the disk. Raises OutputError."""
        with writing(self.folder):
            self._file.sync()

    def _say_what_is_there(self, settings: Mapping[str, Any]) -> None:
        if self._known:
            logger.info(f"resume={self.folder}: {len(self._known)} replies are there already")
            return
        others = [path for path in self.folder.glob("*/settings.json") if path.parent != self._own]
        if others:
            newest = max(others, key=lambda path: path.stat().st_mtime)
            logger.warning(
                f"resume={self.folder}: the replies there were made otherwise and are not used ({_differing(newest, settings)})"
            )


class _Appended:
    """A file that grows by whole lines; a torn last line, left by a kill, is cut off first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("ab", buffering=0)
            whole = path.read_bytes().rfind(b"\n") + 1
            self._file.truncate(whole)
        self._length, self._synced = whole, time.monotonic()

    def append(self, lines: bytes) -> None:
        """Write lines and wait until the system has them; what it takes only in part is cut off again."""
        left = memoryview(lines)
        if self._file.closed:
            return
        try:
            while left:
                left = left[self._file.write(left) :]
            self._length += len(lines)
            if time.monotonic() - self._synced > _SYNCED_EVERY:
                self.sync()
        except OSError as error:
            self._file.truncate(self._length)
            self._file.close()
            logger.error(
                f"{self._path} cannot be written: {os_error_text(error)}. The run goes on; its replies are no longer kept"
            )

    def sync(self) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        with suppress(OSError):  # of a disk that is gone; nothing is left to do about it
            self.sync()
        self._file.close()


def _free_file(folder: Path, held: ExitStack) -> Path:
    """The first file of replies that no other process writes, locked."""
    for number in itertools.count():
        path = folder / f"replies-{number}.jsonl"
        try:
            held.enter_context(locked(path))
        except BusyError:
            continue
        return path
    raise AssertionError


def _line(kept: Kept) -> bytes:
    body = kept.model_dump(mode="json", exclude_defaults=True)
    return (json.dumps({"sum": _sum(body), "kept": body}) + "\n").encode()


def _sum(body: Any) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(body).encode())


def _read(path: Path, content: bytes) -> Iterator[Kept]:
    """The replies of a file, without a torn last line; damaged ones are told with their lines."""
    *lines, _ = content.split(b"\n")
    damages = 0
    for number, line in enumerate(lines, start=1):
        try:
            yield _parse(line)
        except ValueError as error:
            why = explain(error) if isinstance(error, ValidationError) else str(error)
            damages += 1
            if damages <= _DAMAGES_SHOWN:
                logger.warning(at_line(path, number, f"damaged ({why})", "Its request is made again"))
    if damages > _DAMAGES_SHOWN:
        logger.warning(f"{path}: {damages} damaged lines in all; their requests are made again")


def _parse(line: bytes) -> Kept:
    """The reply on a line. Raises ValueError."""
    raw = parse_json(line)
    if not isinstance(raw, dict) or raw.keys() != {"sum", "kept"}:
        raise ValueError("no line of a journal")
    if _sum(raw["kept"]) != raw["sum"]:
        raise ValueError("it differs from its checksum")
    return Kept.model_validate(raw["kept"])


def _differing(file: Path, settings: Mapping[str, Any]) -> str:
    """What a file of settings has otherwise, in a line."""
    try:
        there = parse_json(file.read_bytes())
        differing = [
            f"{key}: {there.get(key)}, now {settings.get(key)}"
            for key in sorted({*there, *settings})
            if there.get(key) != settings.get(key)
        ]
    except (OSError, ValueError, AttributeError):
        return f"{file} cannot be read"
    return "; ".join(differing)
