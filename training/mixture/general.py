"""A general instruction set in LLaVA format, read with bounded memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson
import numpy as np
from tqdm import tqdm

from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.conversations import IMAGE
from finer_tasks.training.mixture.recipe import GeneralSet

FOLDER = "general"


class GeneralEntries:
    """The entries of the set by number: kept as lines of a temporary file, only their offsets in memory."""

    def __init__(self, general: GeneralSet) -> None:
        if not general.file.is_file():
            raise MixtureError(f"general.file {general.file} does not exist")
        if not general.images.is_dir():
            raise MixtureError(f"general.images {general.images} is no folder")
        self._store: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        offsets, self.missing = [], 0
        for number, raw in enumerate(tqdm(_entries(general.file), desc="general set", mininterval=2)):
            row = checked(raw, f"{general.file}, entry {number}")
            if row["image"] and not (general.images / row["image"]).is_file():
                self.missing += 1
                if general.missing_images == "error":
                    raise MixtureError(
                        f"{general.file}, entry {number}: image {row['image']} is not in {general.images}. "
                        "Complete the images, or set general.missing_images: drop"
                    )
                continue
            offsets.append(self._store.tell())
            self._store.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._offsets = np.array(offsets, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self._store.seek(int(self._offsets[index]))
        row: dict[str, Any] = json.loads(self._store.readline())
        return row


def checked(raw: Any, where: str) -> dict[str, Any]:
    """An entry in the form of this package; raises MixtureError if it is none of LLaVA's format."""
    if not isinstance(raw, dict) or not isinstance(raw.get("conversations"), list) or not raw["conversations"]:
        raise MixtureError(f"{where}: expected an object with 'conversations'")
    turns = raw["conversations"]
    for position, turn in enumerate(turns):
        speaker = ("human", "gpt")[position % 2]
        if not isinstance(turn, dict) or turn.get("from") != speaker or not isinstance(turn.get("value"), str):
            raise MixtureError(f"{where}: turn {position} must be text of {speaker!r}; turns alternate and 'human' begins")
    if len(turns) % 2:
        raise MixtureError(f"{where}: the last turn must be of 'gpt'")
    image = raw.get("image")
    placed = sum(turn["value"].count(IMAGE) for turn in turns)
    if bool(image) != (placed == 1) or (image and IMAGE not in turns[0]["value"]):
        raise MixtureError(f"{where}: an image needs exactly one {IMAGE}, in the first turn, and the other way round")
    if image is not None and not isinstance(image, str):
        raise MixtureError(f"{where}: 'image' must be one path")
    conversations = [{"from": turn["from"], "value": turn["value"]} for turn in turns]
    return {"id": str(raw.get("id", "")), "image": image or "", "source": FOLDER, "conversations": conversations}


def _entries(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        start = file.read(64).lstrip()[:1]
        file.seek(0)
        try:
            if start == b"[":
                yield from ijson.items(file, "item")
            else:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        try:
                            yield json.loads(line)
                        except ValueError as error:
                            raise MixtureError(f"{path}:{number}: no JSON object ({error})") from error
        except ijson.JSONError as error:
            raise MixtureError(f"{path}: not valid JSON ({error})") from error
