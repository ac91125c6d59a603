"""Lists of the official images by what they show: split, name, class and perceptual hash of each, and no picture.

Who has the official files makes such a list of them; who has a copy without file names finds by it which image is which.
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from finer_tasks.datasets.copies.names import ClassNames
from finer_tasks.datasets.duplicates import BITS, CHANNELS, Hashes, hashes_of, perceptual_hashes
from finer_tasks.datasets.images import open_image
from finer_tasks.datasets.lines import read_lines
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.reader import Reader
from finer_tasks.datasets.record import SPLITS
from finer_tasks.errors import DatasetContentError, PartialDatasetError, at_line
from finer_tasks.writing import write_text

_FORM = "finer-tasks hashes 1"  # of what is hashed and how: another version finds nothing in it
_COLUMNS = ("split", "image", "class", "hash")
_DIGITS = BITS // 4


class OfficialImage(NamedTuple):
    """One row of a list: the dataset's own id of the image, its class, and the words of its hash, one for each channel."""

    image_id: str
    class_id: str
    words: tuple[int, ...]


@dataclass(frozen=True)
class OfficialList:
    """The official images of a dataset by split."""

    path: Path
    dataset: str
    rows: Mapping[str, Sequence[OfficialImage]]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if split in self.rows)


def write_official(prepared: Prepared, path: Path) -> int:
    """Write the list of a prepared dataset as CSV; returns how many images it has.

    Raises PartialDatasetError where images are missing or the split is not known to be the official one: whoever uses the list
    would take it for that.
    """
    manifest = prepared.manifest
    doubtful = [split for split in manifest.splits if not manifest.is_official(split)]
    if manifest.partial or doubtful:
        why = "is a partial copy" if manifest.partial else f"has a {doubtful[0]} split that is not known to be the official one"
        raise PartialDatasetError(
            f"the prepared {manifest.dataset} {why}, so that a list of it would mislead. Prepare the official files first"
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_FORM, manifest.dataset, manifest.source, ""])
    writer.writerow(_COLUMNS)
    count = 0
    for split, table in prepared.tables().items():
        hashes = perceptual_hashes(prepared, split)
        prefix = f"{manifest.dataset}/{split}/"
        for record, words in zip(table.select_columns(["id", "class_id"]), hashes.tolist(), strict=True):
            digits = "".join(f"{word:016x}" for word in words)
            writer.writerow([split, record["id"].removeprefix(prefix), record["class_id"], digits])
            count += 1
    write_text(path, text.getvalue())
    return count


def read_official(path: Path) -> OfficialList:
    """A list that `write_official` wrote; raises DatasetContentError with the line that is none."""
    rows: dict[str, list[OfficialImage]] = {}
    head: list[str] = []
    seen: set[tuple[str, str]] = set()
    for number, line in read_lines(path):
        cells = next(csv.reader([line]))
        if len(cells) != len(_COLUMNS) or (not head and cells[0] != _FORM):
            raise DatasetContentError(
                at_line(path, number, f"no list of hashes ({_FORM})", "Make one with `finer fingerprint DATASET --output FILE`")
            )
        if not head:
            head = cells
        elif tuple(cells) != _COLUMNS:
            split, image, class_id, digits = cells
            if split not in SPLITS or len(digits) != _DIGITS or not _is_hex(digits) or (split, image) in seen:
                raise DatasetContentError(
                    at_line(path, number, f"expected split, image, class and {_DIGITS} digits, each image once")
                )
            seen.add((split, image))
            words = tuple(int(digits[start : start + 16], 16) for start in range(0, _DIGITS, 16))
            rows.setdefault(split, []).append(OfficialImage(image, class_id, words))
    if not rows:
        raise DatasetContentError(f"{path} lists no image")
    return OfficialList(path, head[1], rows)


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)


def find_official(
    official: OfficialList, paths: Sequence[Path], concepts: Sequence[str], reader: Reader, names: ClassNames
) -> dict[str, dict[int, int]]:
    """Which image of a copy each official image is: places in `paths` by row of the list, by split.

    An image is looked for among the official ones of its concept, up to the distance at which two images of the dataset are one
    picture. Each image is one official image at most, the nearest first.
    """
    hashes = hash_files(paths, reader.crop_bottom)
    ours, theirs = defaultdict(list), defaultdict(list)
    for place, concept in enumerate(concepts):
        ours[concept].append(place)
    for split in official.splits:
        for row, image in enumerate(official.rows[split]):
            theirs[_concept(official, image, names)].append((split, row))
    found: dict[str, dict[int, int]] = {split: {} for split in official.splits}
    for concept, places in ours.items():
        candidates = theirs[concept]
        words = np.array([official.rows[split][row].words for split, row in candidates], dtype=np.uint64)
        for place, candidate in _pairs(hashes[places], words.reshape(-1, CHANNELS), reader.near_bits):
            split, row = candidates[candidate]
            found[split][row] = places[place]
    return found


def _concept(official: OfficialList, image: OfficialImage, names: ClassNames) -> str:
    known = names.concepts.get(image.class_id)
    if known is None:
        raise DatasetContentError(f"{official.path}: {image.image_id} is of {image.class_id!r}, no class of {official.dataset}")
    return known.concept_id


def _pairs(ours: Hashes, theirs: Hashes, bits: int) -> Iterable[tuple[int, int]]:
    """Pairs of rows within some bits, the nearest first, each row once; one without a hash is near to none."""
    distance = np.bitwise_count(ours[:, None] ^ theirs[None]).sum(axis=2, dtype=np.uint16)
    distance[~ours.any(axis=1)] = BITS + 1
    near = np.argwhere(distance <= bits)
    order = np.lexsort((near[:, 1], near[:, 0], distance[near[:, 0], near[:, 1]]))
    used_ours, used_theirs = set[int](), set[int]()
    for mine, other in near[order].tolist():
        if mine not in used_ours and other not in used_theirs:
            used_ours.add(mine)
            used_theirs.add(other)
            yield mine, other


def hash_files(paths: Sequence[Path], crop_bottom: int = 0) -> Hashes:
    """Perceptual hashes of image files, shape (images, 3); zeros for one that cannot be decoded."""

    def look(path: Path) -> list[int]:
        try:
            return hashes_of(open_image(path, crop_bottom))
        except DatasetContentError:
            return [0] * CHANNELS

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(tqdm(pool.map(look, paths), total=len(paths), desc="hash the copy", unit=" images", mininterval=1))
    return np.array(rows, dtype=np.uint64).reshape(-1, CHANNELS)
