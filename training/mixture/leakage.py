"""Keeping test data out of a mixture: near-duplicate images and names of held-out concepts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import imagehash
import numpy as np
from tqdm import tqdm

from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.prepared import Prepared, data_dir
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import DatasetContentError
from finer_tasks.text import normalize
from finer_tasks.writing import replacing

_HASHES = 3  # one 64-bit perceptual hash for each colour channel, since siblings may differ in colour alone
_CHUNK = 256


def perceptual_hashes(prepared: Prepared, split: str) -> np.ndarray:
    """Perceptual hashes of a split's images, shape (images, 3), one uint64 per colour channel; cached on disk.

    Images that cannot be decoded get a hash of zeros and are found by nobody.
    """
    path = data_dir() / "hashes" / f"{prepared.manifest.dataset}-{split}-{prepared.manifest.contents[split]}.npy"
    if path.exists():
        with suppress(OSError, ValueError, EOFError):  # a damaged cache is made anew
            known: np.ndarray = np.load(path)
            return known
    table = prepared.tables()[split]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(
            tqdm(
                _mapped(pool, prepared, table),
                total=len(table),
                desc=f"hash {prepared.manifest.dataset} {split}",
                mininterval=2,
            )
        )
    hashes = np.array(rows, dtype=np.uint64).reshape(-1, _HASHES)
    with replacing(path) as fresh, fresh.open("wb") as file:
        np.save(file, hashes)
    return hashes


def _mapped(pool: ThreadPoolExecutor, prepared: Prepared, table: Any) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(table), 1024):  # bounded, whatever the size of the split
        docs = [table[index] for index in range(start, min(start + 1024, len(table)))]
        yield from pool.map(lambda doc: _hash_of(prepared, doc), docs)


def _hash_of(prepared: Prepared, doc: Mapping[str, Any]) -> tuple[int, ...]:
    try:
        image = published_image(prepared, doc)
    except DatasetContentError:
        return (0,) * _HASHES
    return tuple(int(str(imagehash.phash(channel)), 16) for channel in image.split())


def near_duplicates(train: np.ndarray, test: np.ndarray, bits: int) -> np.ndarray:
    """Which train images lie within `bits` differing bits (of 192) of any test image, as booleans."""
    found = np.zeros(len(train), dtype=bool)
    known = test[test.any(axis=1)]
    for start in range(0, len(train), _CHUNK):
        chunk = train[start : start + _CHUNK]
        distance = np.zeros((len(chunk), len(known)), dtype=np.uint16)
        for channel in range(_HASHES):
            distance += np.bitwise_count(chunk[:, channel, None] ^ known[None, :, channel])
        found[start : start + _CHUNK] = (distance <= bits).any(axis=1) & chunk.any(axis=1) if len(known) else False
    return found


class NameSearch:
    """Finds whether a text names any of many concepts, by whole words of the normalised text."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_first: dict[str, set[tuple[str, ...]]] = {}
        for name in names:
            words = tuple(normalize(name).split())
            if words:
                self._by_first.setdefault(words[0], set()).add(words)

    def find(self, text: str) -> str | None:
        """The first name that occurs in the text, None if none does."""
        words = normalize(text).split()
        for position, word in enumerate(words):
            for name in self._by_first.get(word, ()):
                if tuple(words[position : position + len(name)]) == name:
                    return " ".join(name)
        return None


def concept_names(concepts: Iterable[Concept]) -> set[str]:
    """All names that denote these fine concepts."""
    return {name for concept in concepts for name in (*concept.fine, *concept.aliases)}
