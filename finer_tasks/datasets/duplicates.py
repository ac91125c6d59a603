"""Pictures of one split that are nearly those of another: rescaled, compressed anew, in other colours, or mirrored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from tqdm import tqdm

from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.prepared import Prepared, data_dir
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetContentError
from finer_tasks.writing import replacing

Hashes = npt.NDArray[np.uint64]
CHANNELS = 3  # one 64-bit perceptual hash for each colour channel, since siblings may differ in colour alone
BITS = 64 * CHANNELS
_CHUNK = 256
_TABLE = 1024


@dataclass(frozen=True)
class LookAlike:
    """Rows of a train and a test image, and how many of their 192 bits differ; `mirrored`: one being seen in a mirror."""

    train: int
    test: int
    bits: int
    mirrored: bool


def perceptual_hashes(prepared: Prepared, split: str, mirrored: bool = False) -> Hashes:
    """Perceptual hashes of a split's images, shape (images, 3), one for each colour channel; cached on disk.

    With `mirrored`, those of the mirror images come after them, shape (2 × images, 3). Images that cannot be decoded get a
    hash of zeros and are found by nobody.
    """
    manifest, suffix = prepared.manifest, "-mirrored" if mirrored else ""
    path = data_dir() / "hashes" / f"{manifest.dataset}-{split}-{manifest.contents[split]}{suffix}.npy"
    if path.exists():
        with suppress(OSError, ValueError, EOFError):  # a damaged cache is made anew
            known: Hashes = np.load(path)
            return known
    table = prepared.tables()[split]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        mapped = _mapped(pool, prepared, table, mirrored)
        rows = list(tqdm(mapped, total=len(table), desc=f"hash {manifest.dataset} {split}", mininterval=2))
    hashes = np.array(rows, dtype=np.uint64).reshape(len(table), -1, CHANNELS).swapaxes(0, 1).reshape(-1, CHANNELS)
    with replacing(path) as fresh, fresh.open("wb") as file:
        np.save(file, hashes)
    return hashes


def _mapped(pool: ThreadPoolExecutor, prepared: Prepared, table: Any, mirrored: bool) -> Iterator[list[int]]:
    for start in range(0, len(table), _TABLE):  # bounded, whatever the size of the split
        docs = [table[index] for index in range(start, min(start + _TABLE, len(table)))]
        yield from pool.map(lambda doc: _hashes_of(prepared, doc, mirrored), docs)


def _hashes_of(prepared: Prepared, doc: Mapping[str, Any], mirrored: bool) -> list[int]:
    try:
        image = published_image(prepared, doc)
    except DatasetContentError:
        return [0] * (CHANNELS * (1 + mirrored))
    return hashes_of(image) + (hashes_of(ImageOps.mirror(image)) if mirrored else [])


def hashes_of(image: Image.Image) -> list[int]:
    """The hash of each colour channel of an RGB image."""
    return [int(str(imagehash.phash(channel)), 16) for channel in image.split()]


def near_duplicates(train: Hashes, test: Hashes, bits: int) -> np.ndarray:
    """Which train images lie within `bits` differing bits (of 192) of any test image, as booleans."""
    found = np.zeros(len(train), dtype=bool)
    for start, near in _distances(train, test):
        found[start : start + len(near)] = (near <= bits).any(axis=1)
    return found


def near_tests(prepared: Prepared, others: Iterable[Prepared], bits: int | None = None) -> np.ndarray:
    """Which train images lie within `bits` of a test image of any of the others, or of its mirror image, as booleans.

    The others may hold the dataset itself. Without bits, as many as its reader says.
    """
    train = perceptual_hashes(prepared, "train")
    limit = get_reader(prepared.manifest.dataset).near_bits if bits is None else bits
    found = np.zeros(len(train), dtype=bool)
    for other in others:
        found |= near_duplicates(train, perceptual_hashes(other, "test", mirrored=True), limit)
    return found


def look_alikes(prepared: Prepared, bits: int) -> list[LookAlike]:
    """Train images that lie within `bits` differing bits of a test image or its mirror image, the nearest first."""
    train, test = perceptual_hashes(prepared, "train"), perceptual_hashes(prepared, "test", mirrored=True)
    images = len(test) // 2
    found = []
    for start, near in _distances(train, test):
        for row, column in np.argwhere(near <= bits).tolist():
            found.append(LookAlike(start + row, column % images, int(near[row, column]), column >= images))
    return sorted(found, key=lambda pair: (pair.bits, pair.train, pair.test))


def _distances(train: Hashes, test: Hashes) -> Iterator[tuple[int, np.ndarray]]:
    """Differing bits of some train images, from a row on, to all test images; more than there are where one has no hash."""
    broken = ~test.any(axis=1)
    for start in range(0, len(train), _CHUNK):
        chunk = train[start : start + _CHUNK]
        distance = np.zeros((len(chunk), len(test)), dtype=np.uint16)
        for channel in range(CHANNELS):
            distance += np.bitwise_count(chunk[:, channel, None] ^ test[None, :, channel])
        distance[:, broken] = BITS + 1
        distance[~chunk.any(axis=1)] = BITS + 1
        yield start, distance
