"""iNaturalist 2021: train.json or train_mini.json, and val.json (the labelled test split).

The files are read as streams: 2.7 million training records need only their ids and labels in
memory.
"""

from __future__ import annotations

import codecs
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root
from finer_tasks.datasets.readers.inat_groups import RULES, group_of
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, os_error_text
from finer_tasks.text import slug

_OFFICIAL = {"train": 2686843, "test": 100000}
_OFFICIAL_MINI = {"train": 500000, "test": 100000}
SOURCE = "iNaturalist 2021"
_AGAIN = "Copy the official file again"
_short = reprlib.repr  # bounded in depth and length, whatever the file holds
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")


def locate(root: Path) -> Path:
    """The folder with val.json."""
    return find_root(root, "val.json", ("2021", "inat2021"))


def official(root: Path) -> dict[str, int]:
    """Official counts: those of the mini training set where only that list is there."""
    return _OFFICIAL_MINI if not (root / "train.json").exists() and (root / "train_mini.json").exists() else _OFFICIAL


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits: train from train.json (else train_mini.json), test from val.json."""
    for split in splits:
        path = _annotation_file(root, split)
        categories, labels = _categories(path), _labels(path)
        made: dict[int, Concept] = {}
        for image in _stream(path, "images"):
            number = _number(image, "id", path)
            if number not in labels:
                raise DatasetContentError(f"{path}: image {number} has no annotation. {_AGAIN}")
            label = labels[number]
            if label not in categories:
                raise DatasetContentError(f"{path}: image {number}: category {label} is not among the {len(categories)} listed")
            concept = made.get(label) or made.setdefault(label, concept_of(categories[label], path))
            yield FinerRecord.of(
                concept, "inat", split, str(number),
                image=_text(image, "file_name", path), class_id=str(label), source=f"{SOURCE} {path.stem}",
            )  # fmt: skip


def concepts(root: Path) -> dict[str, Concept]:
    """The concept of every category of val.json, by category id."""
    path = root / "val.json"
    return {str(number): concept_of(category, path) for number, category in _categories(path).items()}


def rule_coverage(root: Path) -> dict[str, int]:
    """How many species get their coarse label from an entry of their genus, family, order or class, and from none."""
    path = root / "val.json"
    counts = dict.fromkeys(RULES, 0)
    for category in _categories(path).values():
        counts[group_of(category, _fine_labels(category, path)).rule] += 1
    return counts


def coverage(root: Path) -> str:
    """How many species got their coarse label from which rule, in words."""
    counts = rule_coverage(root)
    named = sum(counts.values()) - counts["none"]
    return (
        f"coarse labels: {named} of {sum(counts.values())} species by a group name "
        f"(genus or species {counts['genus']}, family {counts['family']}, order {counts['order']}, class {counts['class']}); "
        f"{counts['none']} by the scientific family alone"
    )


def concept_of(category: Mapping[str, Any], path: Path) -> Concept:
    """Labels of a species: common name first where there is one, coarse by the rule in taxonomy/inat.yaml."""
    fine = _fine_labels(category, path)
    return Concept(
        concept_id=slug(fine[-1]),
        superordinate=_text(category, "supercategory", path),
        coarse=tuple(dict.fromkeys((*group_of(category, fine).names, _text(category, "family", path)))),
        fine=fine,
        general=(str(category["genus"]),) if category.get("genus") else (),
        ranks=tuple(f"{rank} {category[rank]}" for rank in RANKS if category.get(rank)),
    )


def _fine_labels(category: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The common name, where there is one, and the binomial."""
    common = str(category.get("common_name") or "").strip()
    return tuple(dict.fromkeys(label for label in (common, _text(category, "name", path)) if label))


def _annotation_file(root: Path, split: str) -> Path:
    names = ("val.json",) if split == "test" else ("train.json", "train_mini.json")
    for name in names:
        if (root / name).exists():
            return root / name
    raise DatasetLayoutError(
        f"{root}: {' or '.join(names)} is missing. To evaluate only, prepare the test split alone with --splits test"
    )


def _stream(path: Path, key: str) -> Iterator[dict[str, Any]]:
    import ijson

    try:
        with path.open("rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            for number, item in enumerate(ijson.items(file, f"{key}.item", use_float=True), start=1):
                if not isinstance(item, dict):
                    raise DatasetContentError(f"{path}: {key}, entry {number} is {_short(item)} instead of an object. {_AGAIN}")
                yield item
    except ijson.JSONError as error:
        raise DatasetContentError(f"{path}: not valid JSON ({error}). The file may be cut off: copy it again") from error
    except OSError as error:
        raise DatasetLayoutError(f"{path} cannot be read: {os_error_text(error)}") from error


def _categories(path: Path) -> dict[int, dict[str, Any]]:
    """The entries of `categories` by id, their texts checked."""
    found: dict[int, dict[str, Any]] = {}
    for category in _stream(path, "categories"):
        number = _number(category, "id", path)
        if number in found:
            raise DatasetContentError(f"{path}: category {number} is listed twice. {_AGAIN}")
        for field in ("name", "family", "supercategory"):
            _text(category, field, path)
        for field in ("common_name", *RANKS):
            if not isinstance(category.get(field, ""), str | None):
                raise DatasetContentError(f"{path}: category {number}: {field!r} must be text, found {_short(category[field])}")
        found[number] = category
    return found


def _labels(path: Path) -> dict[int, int]:
    """Category ids by image id."""
    found: dict[int, int] = {}
    for item in _stream(path, "annotations"):
        image = _number(item, "image_id", path)
        if image in found:
            raise DatasetContentError(f"{path}: image {image} has two annotations. {_AGAIN}")
        found[image] = _number(item, "category_id", path)
    return found


def _number(item: Mapping[str, Any], field: str, path: Path) -> int:
    value = item.get(field)
    if type(value) is not int or value < 0:
        raise DatasetContentError(
            f"{path}: {field!r} must be a whole number, found {_short(value)} in {_short(item)}. {_AGAIN}"
        )
    return value


def _text(item: Mapping[str, Any], field: str, path: Path) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DatasetContentError(f"{path}: {field!r} must be text, found {_short(value)} in {_short(item)}. {_AGAIN}")
    return value.strip()


_PAPER = Paper(
    "Benchmarking Representation Learning for Natural World Image Collections",
    "https://arxiv.org/abs/2103.16483",
    """@inproceedings{vanhorn2021inat,
  title = {Benchmarking Representation Learning for Natural World Image Collections},
  author = {Van Horn, Grant and Cole, Elijah and Beery, Sara and Wilber, Kimberly and Belongie, Serge and
            Mac Aodha, Oisin},
  booktitle = {CVPR},
  year = {2021}
}""",
)
READER = Reader(
    name="inat",
    source=SOURCE,
    classes=10000,
    official=_OFFICIAL,
    origin=Origin(
        title="iNaturalist 2021 (Van Horn et al. 2021)",
        home="https://github.com/visipedia/inat_comp/tree/master/2021",
        terms="non-commercial research and education; the images may not be distributed",
        root="the folder that holds val.json and val/ (and train.json or train_mini.json for training)",
        archives=(
            Archive(
                "https://ml-inat-competition-datasets.s3.amazonaws.com/2021/val.json.tar.gz",
                checksum="md5:4d761e0f6a86cc63e8f7afc91f6a8f0b",
            ),
            Archive(
                "https://ml-inat-competition-datasets.s3.amazonaws.com/2021/val.tar.gz",
                checksum="md5:f6f6e0e242e3d4c9569ba56400938afc",
            ),
        ),
        splits=("test",),
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    has_ranks=True,
    official_in=official,
    concepts_in=concepts,
    remark=coverage,
)
