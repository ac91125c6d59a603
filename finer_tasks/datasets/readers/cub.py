"""CUB-200-2011: images.txt, image_class_labels.txt, train_test_split.txt and classes.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.boxes import Boxes, listed_boxes
from finer_tasks.datasets.lines import read_table
from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, listed_images
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError

SOURCE = "CUB-200-2011"


def locate(root: Path) -> Path:
    """The folder with images.txt, given it or the one that holds CUB_200_2011."""
    return find_root(root, "images.txt", ("CUB_200_2011",))


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
        yield FinerRecord.of(concept, "cub", split, image_id, image=f"images/{path}", class_id=class_name, source=SOURCE)


def boxes(root: Path, split: str) -> Boxes:
    """Where the birds are, by bounding_boxes.txt, which holds both splits."""
    return listed_boxes(root)


_PAPER = Paper(
    "The Caltech-UCSD Birds-200-2011 Dataset",
    "https://www.vision.caltech.edu/datasets/cub_200_2011/",
    """@techreport{wah2011cub,
  title = {The {Caltech-UCSD} {Birds-200-2011} Dataset},
  author = {Wah, Catherine and Branson, Steve and Welinder, Peter and Perona, Pietro and Belongie, Serge},
  institution = {California Institute of Technology},
  number = {CNS-TR-2011-001},
  year = {2011}
}""",
)
READER = Reader(
    name="cub",
    source=SOURCE,
    classes=200,
    official={"train": 5994, "test": 5794},
    origin=Origin(
        title="CUB-200-2011 (Wah et al. 2011)",
        home="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        terms="photographs belong to their photographers; non-commercial research and education",
        root="the folder CUB_200_2011 with images.txt and images/",
        archives=(
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                checksum="md5:97eceeb196236b17998738112f37df78",
                size=1150585339,
            ),
        ),
        unpacked="CUB_200_2011",
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    boxes=boxes,
    fingerprints={"train": "7f43c453101fff34", "test": "7888c1702586e847"},
    file_fingerprints={"train": "1aa749246d4892e5", "test": "c4a5371c9f2f6c1d"},
)
