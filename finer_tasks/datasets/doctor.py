"""Checks of a prepared dataset: is it the official one, whole, and still what it was?

Tables are streamed, and findings name a few examples, however many images there are.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from finer_tasks.datasets.crops import LEAST_POINTS, SharedPart, shared_parts
from finer_tasks.datasets.duplicates import BITS, LookAlike, look_alikes
from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.prepared import Manifest, Prepared
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetContentError

_EXAMPLES = 3
_BATCH = 1024


@dataclass(frozen=True)
class Finding:
    """One result of the examination: `level` is ok, note or problem."""

    level: str
    text: str


@dataclass
class _Examples:
    """How many there are, and the first few."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, item: str) -> None:
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append(item)

    def __str__(self) -> str:
        more = self.count - len(self.first)
        return "; ".join(self.first) + (f" and {more} more" if more else "")


def examine(prepared: Prepared, decode: bool = True, near: bool = False, crops: bool = False) -> list[Finding]:
    """All findings; with `decode` every image is read, to see if it is whole and in one split only.

    With `near`, train images that look like a test image are listed, too; with `crops`, those that show part of one.
    """
    if problem := prepared.changed(*prepared.manifest.digests):
        return [Finding("problem", f"{problem}. Run: {prepared.command}")]
    findings = [Finding("ok", f"prepared tables unchanged, fingerprint {prepared.manifest.fingerprint}")]
    tables = _tables(prepared)
    findings += _official_split(prepared)
    findings += _labels(prepared, tables)
    if "content" not in prepared.manifest.official.values():  # then the copy's folders need not be those of its splits
        findings += _split_folders(tables, "note" if get_reader(prepared.manifest.dataset).own else "problem")
    if not prepared.manifest.embedded:
        findings += _files(prepared, tables)
    if decode:
        findings += _pictures(prepared, tables)
    if near:
        findings += _look_alikes(prepared, tables)
    if crops:
        findings += _shared_parts(prepared, tables)
    return findings


def _tables(prepared: Prepared) -> dict[str, Any]:
    return dict(prepared.tables())


def _column(table: Any, name: str) -> Iterator[Any]:
    for batch in table.select_columns([name]).iter(_BATCH):
        yield from batch[name]


def _official_split(prepared: Prepared) -> Iterator[Finding]:
    manifest = prepared.manifest
    reader = get_reader(manifest.dataset)
    known, official = reader.fingerprints, reader.official_counts(Path(manifest.root))
    for split, counts in manifest.splits.items():
        if manifest.unified:
            yield Finding(
                "note",
                f"{split}: {counts['listed']} images from a unified file of the authors (the official split has "
                f"{official[split]}); which image is in which split is not checked",
            )
            continue
        if manifest.copy:
            yield _split_of_copy(manifest, split, official[split])
            continue
        if counts["listed"] != official[split]:
            yield Finding("problem", f"{split}: {counts['listed']} images listed, the official split has {official[split]}")
        if counts["missing"]:
            yield Finding(
                "problem", f"{split}: {counts['missing']} listed images were missing when it was prepared (partial copy)"
            )
        if split not in known:
            yield Finding("note", f"{split}: no fingerprint of the official assignment is known to this version")
        elif manifest.split_fingerprints[split] == known[split]:
            of = "those that dataset.yaml counted" if reader.own else "the official ones"
            yield Finding("ok", f"{split}: images, labels and split are {of}")
        else:
            yield Finding(
                "problem",
                f"{split}: images, labels or split differ from the {'counted' if reader.own else 'official'} ones "
                f"({manifest.split_fingerprints[split]} instead of {known[split]}). {reader.copy_again}, and prepare again",
            )


def _split_of_copy(manifest: Manifest, split: str, official: int) -> Finding:
    count, how = manifest.splits[split]["listed"], manifest.official.get(split)
    said = f"{split}: {count} of {official} images, from a copy ({manifest.copy})"
    if not how:
        return Finding("note", f"{said}; which image is in which split is not known to be official")
    return Finding("ok" if count == official else "note", f"{said}; images and split are the official ones, known by {how}")


def _labels(prepared: Prepared, tables: Mapping[str, Any]) -> Iterator[Finding]:
    if prepared.manifest.unified:
        return
    reader = get_reader(prepared.manifest.dataset)
    short = "note" if reader.own else "problem"  # the user's own may have classes without a test image
    for split, table in tables.items():
        counts = Counter(_column(table, "class_id"))
        smallest, largest = min(counts.values()), max(counts.values())
        text = f"{split}: {len(counts)} of {reader.classes} classes, {smallest} to {largest} images a class"
        yield Finding("ok" if len(counts) == reader.classes else short, text)


def _split_folders(tables: Mapping[str, Any], level: str) -> Iterator[Finding]:
    """Stanford Cars uses the same file names in both splits: the wrong folder scores training images.

    `level` is that of images in a folder of the other split, which the list of a user's own dataset may mean so.
    """
    by_size = sorted(tables, key=lambda split: len(tables[split]))
    smaller, larger = by_size[0], by_size[-1]
    known = set(_column(tables[smaller], "image")) if smaller != larger else set()
    shared = _Examples()
    for split, table in tables.items():
        other = "train" if split == "test" else "test"
        wrong = _Examples()
        for image in _column(table, "image"):
            if f"_{other}/" in image or image.startswith(f"{other}/"):
                wrong.add(image)
            if split == larger and image in known:
                shared.add(image)
        if wrong.count:
            yield Finding(level, f"{split}: {wrong.count} images lie in a {other} folder: {wrong}")
    if shared.count:
        yield Finding("problem", f"{shared.count} images are in both splits: {shared}")


def _files(prepared: Prepared, tables: Mapping[str, Any]) -> Iterator[Finding]:
    root = Path(prepared.manifest.root)
    if not root.is_dir():
        yield Finding("problem", f"the image folder {root} is gone. Put it back or prepare again with the new --root")
        return
    for split, table in tables.items():
        changed = _Examples()
        for image, size in zip(_column(table, "image"), _column(table, "size"), strict=True):
            path = root / image
            if not path.is_file() or path.stat().st_size != size:
                changed.add(image)
        if changed.count:
            yield Finding("problem", f"{split}: {changed.count} image files are missing or changed in size: {changed}")
        else:
            yield Finding("ok", f"{split}: all {len(table)} image files are there, sizes unchanged")


def _pictures(prepared: Prepared, tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Every image read once: can it be decoded, and is its content anywhere else?"""
    contents: dict[str, np.ndarray] = {}
    for split, table in tables.items():
        bad = _Examples()
        contents[split] = np.zeros(len(table), dtype=np.uint64)
        for position, (content, error) in enumerate(_looks(prepared, split, table)):
            contents[split][position] = content
            if error:
                bad.add(error)
        if bad.count:
            yield Finding("problem", f"{split}: {bad.count} images cannot be decoded; they are scored as wrong. {bad}")
        else:
            yield Finding("ok", f"{split}: all {len(table)} images can be decoded")
    yield from _duplicates(tables, contents)


def _looks(prepared: Prepared, split: str, table: Any) -> Iterator[tuple[int, str]]:
    def look(row: dict[str, Any]) -> tuple[int, str]:
        try:
            content = _content(prepared, row)
            published_image(prepared, row)
            return content, ""
        except DatasetContentError as error:
            return 0, str(error)

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(table), desc=f"reading {split}", unit=" images", mininterval=1) as bar,
    ):
        for start in range(0, len(table), _BATCH):  # bounded, whatever the size of the split
            rows = [table[index] for index in range(start, min(start + _BATCH, len(table)))]
            yield from pool.map(look, rows)
            bar.update(len(rows))


def _content(prepared: Prepared, row: Mapping[str, Any]) -> int:
    """A number for the bytes of an image; 64 bits are enough to tell millions of pictures apart."""
    embedded = row.get("embedded_image")
    try:
        data = embedded["bytes"] if embedded else (Path(prepared.manifest.root) / row["image"]).read_bytes()
    except OSError as error:
        raise DatasetContentError(f"{error.filename}: image cannot be decoded ({error.strerror})") from error
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _duplicates(tables: Mapping[str, Any], contents: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    within = 0
    distinct: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split, values in contents.items():
        known, first, counts = np.unique(values, return_index=True, return_counts=True)
        readable = known != 0
        within += int((counts[readable] > 1).sum())
        distinct[split] = known[readable], first[readable]
    if len(distinct) > 1:
        (one, (left, left_at)), (other, (right, right_at)) = distinct.items()
        _, left_index, right_index = np.intersect1d(left, right, assume_unique=True, return_indices=True)
        names = [tables[split].select_columns(["image"]) for split in (one, other)]
        examples = _Examples()
        for a, b in zip(names[0][left_at[left_index]]["image"], names[1][right_at[right_index]]["image"], strict=True):
            if a != b:  # one image in both splits is told by _split_folders
                examples.add(f"{a} = {b}")
        if examples.count:
            yield Finding("problem", f"{examples.count} pictures are in both splits under different names: {examples}")
    yield Finding("note" if within else "ok", f"{within} pictures occur more than once within a split")


def _look_alikes(prepared: Prepared, tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Notes, since nobody but a person can tell a copy from another picture of the same kind."""
    if len(tables) < 2:
        yield Finding("note", f"no look-alikes across splits are looked for: only {', '.join(tables)} is prepared")
        return
    bits = get_reader(prepared.manifest.dataset).near_bits
    found = look_alikes(prepared, bits)
    within = f"at most {bits} of {BITS} bits of their hashes differ"
    yield Finding("note" if found else "ok", f"{len(found)} pairs of a train and a test image look alike ({within})")
    yield from _pairs(tables, [(f"{pair.bits:2} bits", pair) for pair in found])


def _shared_parts(prepared: Prepared, tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Notes, as above: two shots of one animal on one branch share points as well."""
    if len(tables) < 2:
        yield Finding("note", f"no parts of test images are looked for: only {', '.join(tables)} is prepared")
        return
    found = shared_parts(prepared)
    within = f"at least {LEAST_POINTS} points agree"
    yield Finding("note" if found else "ok", f"{len(found)} train images show part of a test image ({within})")
    yield from _pairs(tables, [(f"{part.points:3} points", part) for part in found])


def _pairs(tables: Mapping[str, Any], found: Sequence[tuple[str, LookAlike | SharedPart]]) -> Iterator[Finding]:
    """A note on each train image and the test image that it is like, headed by how much."""
    names = {split: table.select_columns(["image"]) for split, table in tables.items()}
    for alike, pair in found:
        train, test = names["train"][pair.train]["image"], names["test"][pair.test]["image"]
        yield Finding("note", f"{alike}: {train} ~ {test}" + (" (mirrored)" if pair.mirrored else ""))
