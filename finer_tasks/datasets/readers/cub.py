"""CUB-200-2011: images.txt, image_class_labels.txt, train_test_split.txt and classes.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.readers.files import find_root, listed_images, read_table
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import Concept, load_taxonomy
from finer_tasks.errors import DatasetContentError

OFFICIAL = {"train": 5994, "test": 5794}
CLASSES = 200
SOURCE = "CUB-200-2011"


def locate(root: Path) -> Path:
    """The folder with images.txt, given it or the one that holds CUB_200_2011."""
    return find_root(root, "images.txt", ("CUB_200_2011",))


def concepts(root: Path) -> dict[str, Concept]:
    """All classes by name, without the number that classes.txt puts in front."""
    return dict(load_taxonomy("cub").classes)


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits, in the order of images.txt; `image` starts with images/."""
    taxonomy = load_taxonomy("cub")
    classes = read_table(root / "classes.txt", "class name")
    for image_id, path, label, split in listed_images(root, splits):
        if label not in classes:
            raise DatasetContentError(
                f"{root / 'image_class_labels.txt'}: image {image_id}: label {label!r} is not among the "
                f"{len(classes)} ids of classes.txt"
            )
        folder = path.split("/", 1)[0]
        if folder != classes[label]:
            raise DatasetContentError(
                f"{root / 'images.txt'}: image {image_id} lies in {folder!r} but its label {label} is {classes[label]!r}"
            )
        class_name = re.sub(r"^\d+\.", "", classes[label])
        concept = taxonomy.concept(class_name)
        yield FinerRecord.of(concept, f"cub/{split}/{image_id}", f"images/{path}", class_name, SOURCE)
