"""A general instruction set in LLaVA format, read with bounded memory and checked entry by entry."""

from __future__ import annotations

import codecs
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import ijson
import numpy as np
from tqdm import tqdm

from finer_tasks.datasets.images import open_image
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.conversations import IMAGE
from finer_tasks.training.mixture.decoding import Readable
from finer_tasks.training.mixture.recipe import GeneralSet

FOLDER = "general"
# What an entry may show beside an image; to train on its text alone would be another task.
_OTHER_MEDIA = ("video", "videos", "audio", "audios")
_OTHER_MARKS = ("<video>", "<audio>")


class BrokenEntry(Exception):
    """An entry that is no conversation with at most one image: the reason, by which they are counted, and what is wrong."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class GeneralEntries:
    """The sound entries of the set by number: kept as lines of a temporary file in `folder`, only their offsets in memory.

    A broken entry raises MixtureError, or is left out and counted in `left_out` where `drop_broken` says so.
    """

    def __init__(self, general: GeneralSet, folder: Path, drop_broken: bool) -> None:
        if not general.file.is_file():
            raise MixtureError(f"general.file {general.file} does not exist")
        if not general.images.is_dir():
            raise MixtureError(f"general.images {general.images} is no folder")
        self.general, self.drop_broken = general, drop_broken
        self.left_out: Counter[str] = Counter()
        self._store: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        offsets = []
        for where, raw in tqdm(_entries(general.file), desc="general set", mininterval=2):
            try:
                line = json.dumps(self._checked(raw), ensure_ascii=False).encode()
            except BrokenEntry as broken:
                self._leave_out(broken, where)
                continue
            except UnicodeEncodeError:
                self._leave_out(BrokenEntry("text that is no Unicode", "half of a surrogate pair"), where)
                continue
            offsets.append(self._store.tell())
            self._store.write(line + b"\n")
        self._offsets = np.array(offsets, dtype=np.int64)

    def choose(self, wanted: int | None, rng: np.random.Generator) -> np.ndarray:
        """Numbers of so many entries in random order, all of them for None, whose images can be decoded."""
        order = rng.permutation(len(self._offsets))
        readable = Readable(lambda path: open_image(path) if path else None)
        chosen: list[int] = []
        for start in range(0, len(order), 1024):
            if wanted is not None and len(chosen) >= wanted:
                break
            part = order[start : start + 1024].tolist()
            for number, problem in zip(part, readable.problems([self._path(number) for number in part]), strict=True):
                if problem is None:
                    chosen.append(number)
                else:
                    self._leave_out(BrokenEntry("image that cannot be decoded", problem), f"{self.general.file}")
        return np.array(chosen[:wanted], dtype=np.int64)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self._store.seek(int(self._offsets[index]))
        row: dict[str, Any] = json.loads(self._store.readline())
        return row

    def _path(self, index: int) -> Path | None:
        image = self[index]["image"]
        return self.general.images / image if image else None

    def _checked(self, raw: Any) -> dict[str, Any]:
        if isinstance(raw, BrokenEntry):
            raise raw
        row = checked(raw)
        if row["image"] and not _is_file(self.general.images / row["image"]):
            raise BrokenEntry("missing image", f"{row['image']} is not in {self.general.images}")
        return row

    def _leave_out(self, broken: BrokenEntry, where: str) -> None:
        missing = broken.reason == "missing image"
        if not (self.drop_broken or (missing and self.general.missing_images == "drop")):
            fix = "Complete the images, or set general.missing_images: drop" if missing else "Mend it"
            raise MixtureError(f"{where}: {broken}. {fix}, or leave out and count such entries with --drop-broken")
        self.left_out[broken.reason] += 1


def checked(raw: Any) -> dict[str, Any]:
    """An entry in the form of this package; raises BrokenEntry if it is none of LLaVA's format."""
    if not isinstance(raw, dict) or not isinstance(raw.get("conversations"), list) or not raw["conversations"]:
        raise BrokenEntry("no conversation", "expected an object with 'conversations'")
    turns = raw["conversations"]
    for position, turn in enumerate(turns):
        speaker = ("human", "gpt")[position % 2]
        if not isinstance(turn, dict) or turn.get("from") != speaker or not isinstance(turn.get("value"), str):
            what = f"turn {position} must be text of {speaker!r}; turns alternate and 'human' begins"
            raise BrokenEntry("turns out of order", what)
        if not turn["value"].strip():
            raise BrokenEntry("empty turn", f"turn {position} of {speaker!r} holds no text")
    if len(turns) % 2:
        raise BrokenEntry("turns out of order", "the last turn must be of 'gpt'")
    image = _image(raw, turns)
    conversations = [{"from": turn["from"], "value": turn["value"]} for turn in turns]
    return {"id": str(raw.get("id", "")), "image": image, "source": FOLDER, "conversations": conversations}


def _image(raw: dict[str, Any], turns: list[dict[str, Any]]) -> str:
    """The path of the entry's image, "" where it has none; raises BrokenEntry where entry and turns do not agree on it."""
    other = next((key for key in _OTHER_MEDIA if raw.get(key)), None)
    other = other or next((mark for mark in _OTHER_MARKS if any(mark in turn["value"] for turn in turns)), None)
    if other:
        raise BrokenEntry("video or audio", f"{other!r}; only images can be trained on")
    given = [raw.get("image"), raw.get("images")]
    paths = [path for value in given if value for path in (value if isinstance(value, list) else [value])]
    if not all(isinstance(path, str) for path in paths):
        raise BrokenEntry("image that is no path", "'image' must be the path of a file")
    placed = sum(turn["value"].count(IMAGE) for turn in turns)
    if placed != len(paths):
        raise BrokenEntry("counts that differ", f"{len(paths)} images, but {IMAGE} stands {placed} times in the turns")
    if len(paths) > 1:
        raise BrokenEntry("more than one image", f"{len(paths)} images; only one can be trained on")
    if paths and IMAGE not in turns[0]["value"]:
        raise BrokenEntry("image after the first turn", f"{IMAGE} must stand in the first turn")
    if paths and (PurePosixPath(paths[0]).is_absolute() or ".." in PurePosixPath(paths[0]).parts):
        raise BrokenEntry("image outside the folder", f"{paths[0]!r} must be a path below general.images")
    return paths[0] if paths else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the system allows, or a folder that may not be looked into
        return False


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each entry stands, and the entry; a BrokenEntry for a line that is no JSON."""
    with path.open("rb") as file:
        begin = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
        file.seek(begin)
        start = file.read(64).lstrip()[:1]
        file.seek(begin)
        if start == b"[":
            try:
                for number, raw in enumerate(ijson.items(file, "item")):
                    yield f"{path}, entry {number}", raw
            except (ijson.JSONError, UnicodeDecodeError) as error:
                raise MixtureError(f"{path}: not valid JSON ({error})") from error
            return
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return BrokenEntry("no JSON", str(error))
