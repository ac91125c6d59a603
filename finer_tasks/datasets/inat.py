"""iNaturalist 2021: train.json or train_mini.json, and val.json (the labelled test split).

The files are read as streams: 2.7 million training records need only their ids and labels in
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ijson

from finer_tasks.datasets.files import find_root
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import Concept, load_taxonomy, slug
from finer_tasks.errors import DatasetContentError, DatasetLayoutError

OFFICIAL = {"train": 2686843, "test": 100000}
OFFICIAL_MINI = {"train": 500000, "test": 100000}
CLASSES = 10000
SOURCE = "iNaturalist 2021"
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")


def locate(root: Path) -> Path:
    """The folder with val.json."""
    return find_root(root, "val.json", ("2021", "inat2021"))


def official(root: Path) -> dict[str, int]:
    """Official counts: those of the mini training set where only that list is there."""
    return OFFICIAL_MINI if not (root / "train.json").exists() and (root / "train_mini.json").exists() else OFFICIAL


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits: train from train.json (else train_mini.json), test from val.json."""
    for split in splits:
        path = _annotation_file(root, split)
        categories = {category["id"]: category for category in _stream(path, "categories")}
        labels = {int(item["image_id"]): int(item["category_id"]) for item in _stream(path, "annotations")}
        made: dict[int, Concept] = {}
        for image in _stream(path, "images"):
            number = int(_field(image, "id", path))
            if number not in labels:
                raise DatasetContentError(f"{path}: image {number} has no annotation. Copy the official file again")
            label = labels[number]
            if label not in categories:
                raise DatasetContentError(f"{path}: image {number}: category {label} is not among the {len(categories)} listed")
            concept = made.get(label) or made.setdefault(label, concept_of(categories[label], path))
            yield FinerRecord.of(
                concept, f"inat/{split}/{number}", str(_field(image, "file_name", path)), str(label), f"{SOURCE} {path.stem}"
            )


def concepts(root: Path) -> dict[str, Concept]:
    """The concept of every category of val.json, by category id."""
    path = root / "val.json"
    return {str(category["id"]): concept_of(category, path) for category in _stream(path, "categories")}


def rule_coverage(root: Path) -> dict[str, int]:
    """How many species get their coarse label from a family, order or class entry, and from no entry."""
    counts = {"family": 0, "order": 0, "class": 0, "none": 0}
    for category in _stream(root / "val.json", "categories"):
        counts[_group(category)[0]] += 1
    return counts


def concept_of(category: Mapping[str, Any], path: Path) -> Concept:
    """Labels of a species: common name first where there is one, coarse by the rule in taxonomy/inat.yaml."""
    binomial = str(_field(category, "name", path)).strip()
    common = str(category.get("common_name") or "").strip()
    family = str(_field(category, "family", path)).strip()
    _, group = _group(category)
    return Concept(
        concept_id=slug(binomial),
        superordinate=str(_field(category, "supercategory", path)),
        coarse=tuple(dict.fromkeys(label for label in (group, family) if label)),
        fine=tuple(dict.fromkeys(label for label in (common, binomial) if label)),
        general=(str(category["genus"]),) if category.get("genus") else (),
        ranks=tuple(f"{rank} {category[rank]}" for rank in RANKS if category.get(rank)),
    )


def _group(category: Mapping[str, Any]) -> tuple[str, str]:
    raw = load_taxonomy("inat").raw
    for rank, table in (("family", "families"), ("order", "orders"), ("class", "classes")):
        if name := raw[table].get(category.get(rank)):
            return rank, name
    return "none", ""


def _annotation_file(root: Path, split: str) -> Path:
    names = ("val.json",) if split == "test" else ("train.json", "train_mini.json")
    for name in names:
        if (root / name).exists():
            return root / name
    raise DatasetLayoutError(
        f"{root}: {' or '.join(names)} is missing. To evaluate only, prepare the test split alone with --splits test"
    )


def _stream(path: Path, key: str) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        try:
            yield from ijson.items(file, f"{key}.item", use_float=True)
        except ijson.JSONError as error:
            raise DatasetContentError(f"{path}: not valid JSON ({error}). The file may be cut off: copy it again") from error


def _field(item: Mapping[str, Any], name: str, path: Path) -> Any:
    if item.get(name) in (None, ""):
        raise DatasetContentError(f"{path}: an entry lacks {name!r}: {dict(item)!r:.200}")
    return item[name]
