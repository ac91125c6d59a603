"""Checks of a prepared dataset: is it the official one, whole, and still what it was?"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from finer_tasks.datasets.prepared import Prepared, digest, prepare_command
from finer_tasks.datasets.readers import get_reader, official_counts
from finer_tasks.errors import DatasetContentError

# Which image belongs to which class and split, over the official lists (see Manifest.split_fingerprints).
KNOWN_SPLITS: dict[str, dict[str, str]] = {
    "cub": {"train": "7f43c453101fff34", "test": "7888c1702586e847"},
    "dogs": {"train": "190f541786dee39d", "test": "c7f0ff36dad98a74"},
    "cars": {"train": "8ec24b826320a759"},
    "mini": {"train": "64aa0e36f2501559", "test": "d2f8843861bed52a"},
}
_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One result of the examination: `level` is ok, note or problem."""

    level: str
    text: str


def examine(prepared: Prepared, decode: bool = True) -> list[Finding]:
    """All findings; with `decode` every image is opened, which takes a while on large sets."""
    findings = [_fingerprint(prepared)]
    if findings[0].level == "problem":
        return findings
    tables = _tables(prepared)
    findings += _official_split(prepared)
    findings += _labels(prepared, tables)
    findings += _split_folders(prepared, tables)
    if not prepared.manifest.embedded:
        findings += _files(prepared, tables)
        findings += _duplicates(prepared, tables)
    if decode:
        findings += _corrupt(prepared, tables)
    return findings


def _tables(prepared: Prepared) -> dict[str, Any]:
    from datasets import load_from_disk

    return dict(load_from_disk(str(prepared.data)))


def _fingerprint(prepared: Prepared) -> Finding:
    for split, expected in prepared.manifest.digests.items():
        if digest(prepared.data / split) != expected:
            return Finding(
                "problem",
                f"the prepared {split} table is not what was written. Run: {prepare_command(prepared.manifest.dataset)}",
            )
    return Finding("ok", f"prepared tables unchanged, fingerprint {prepared.manifest.fingerprint}")


def _official_split(prepared: Prepared) -> Iterator[Finding]:
    manifest = prepared.manifest
    known = KNOWN_SPLITS.get(manifest.dataset, {})
    official = official_counts(manifest.dataset, Path(manifest.root))
    for split, counts in manifest.splits.items():
        if manifest.unified:
            yield Finding("note", f"{split}: from a unified file of the authors; the official split is not checked")
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
            yield Finding("ok", f"{split}: images, labels and split are the official ones")
        else:
            yield Finding(
                "problem",
                f"{split}: images, labels or split differ from the official ones "
                f"({manifest.split_fingerprints[split]} instead of {known[split]}). Copy the official lists and prepare again",
            )


def _labels(prepared: Prepared, tables: dict[str, Any]) -> Iterator[Finding]:
    if prepared.manifest.unified:
        return
    wanted = get_reader(prepared.manifest.dataset).CLASSES
    for split, table in tables.items():
        counts = Counter(table["class_id"])
        smallest, largest = min(counts.values()), max(counts.values())
        text = f"{split}: {len(counts)} of {wanted} classes, {smallest} to {largest} images a class"
        yield Finding("ok" if len(counts) == wanted else "problem", text)


def _split_folders(prepared: Prepared, tables: dict[str, Any]) -> Iterator[Finding]:
    """Stanford Cars uses the same file names in both splits: the wrong folder scores training images."""
    seen: dict[str, str] = {}
    for split, table in tables.items():
        other = "train" if split == "test" else "test"
        wrong = [image for image in table["image"] if f"_{other}/" in image or image.startswith(f"{other}/")]
        if wrong:
            yield Finding("problem", f"{split}: {len(wrong)} images lie in a {other} folder, for example {wrong[0]}")
        for image in table["image"]:
            if seen.setdefault(image, split) != split:
                yield Finding("problem", f"{image} is in both splits")
                return


def _files(prepared: Prepared, tables: dict[str, Any]) -> Iterator[Finding]:
    root = Path(prepared.manifest.root)
    if not root.is_dir():
        yield Finding("problem", f"the image folder {root} is gone. Put it back or prepare again with the new --root")
        return
    for split, table in tables.items():
        changed = []
        for image, size in zip(table["image"], table["size"], strict=True):
            path = root / image
            if not path.is_file() or path.stat().st_size != size:
                changed.append(image)
        if changed:
            yield Finding("problem", f"{split}: {len(changed)} image files are missing or changed in size: {_some(changed)}")
        else:
            yield Finding("ok", f"{split}: all {len(table)} image files are there, sizes unchanged")


def _duplicates(prepared: Prepared, tables: dict[str, Any]) -> Iterator[Finding]:
    """Files with equal bytes, looked for among files of equal size only."""
    root = Path(prepared.manifest.root)
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for split, table in tables.items():
        for image, size in zip(table["image"], table["size"], strict=True):
            by_size[size].append((split, image))
    by_content: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for group in by_size.values():
        if len(group) > 1:
            for split, image in group:
                path = root / image
                if path.is_file():
                    by_content[hashlib.sha256(path.read_bytes()).hexdigest()].append((split, image))
    groups = [group for group in by_content.values() if len(group) > 1]
    across = [group for group in groups if len({split for split, _ in group}) > 1]
    if across:
        example = " = ".join(image for _, image in across[0])
        yield Finding("problem", f"{len(across)} pictures are in both splits under different names: {example}")
    within = len(groups) - len(across)
    yield Finding("note" if within else "ok", f"{within} pictures occur more than once within a split")


def _corrupt(prepared: Prepared, tables: dict[str, Any]) -> Iterator[Finding]:
    def broken(row: dict[str, Any]) -> str | None:
        try:
            prepared.image(row)
            return None
        except DatasetContentError as error:
            return str(error)

    for split, table in tables.items():
        with ThreadPoolExecutor() as pool:
            checked = tqdm(pool.map(broken, table), total=len(table), desc=f"decoding {split}", unit=" images", mininterval=1)
            bad = [error for error in checked if error]
        if bad:
            yield Finding("problem", f"{split}: {len(bad)} images cannot be decoded; they are scored as wrong. {_some(bad)}")
        else:
            yield Finding("ok", f"{split}: all {len(table)} images can be decoded")


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _EXAMPLES} more" if len(items) > _EXAMPLES else ""
    return "; ".join(items[:_EXAMPLES]) + more
