"""NABirds: classes.txt, hierarchy.txt, images.txt, image_class_labels.txt and train_test_split.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from finer_tasks.datasets.boxes import Boxes, listed_boxes
from finer_tasks.datasets.lines import read_table
from finer_tasks.datasets.reader import Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, listed_images, look_up
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError

SOURCE = "NABirds"


def locate(root: Path) -> Path:
    """The folder with hierarchy.txt."""
    return find_root(root, "hierarchy.txt", ("nabirds",))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits in the order of images.txt.

    Sex, age and morph in parentheses do not change the labels; the coarse label must agree with
    the ancestors of the class in hierarchy.txt.
    """
    taxonomy = load_taxonomy("nabirds")
    names = {key: clean_name(name) for key, name in read_table(root / "classes.txt", "class name").items()}
    parents = read_table(root / "hierarchy.txt", "parent id")
    for image_id, path, label, split in listed_images(root, splits, with_dashes):
        name = look_up(names, label, root / "classes.txt", "image_class_labels.txt")
        concept = taxonomy.concept(name)
        if concept.coarse[-1] not in ancestors(label, names, parents, root):
            raise DatasetContentError(
                f"{root / 'hierarchy.txt'}: class {label} ({name}) is not below {concept.coarse[-1]!r}. "
                "Copy the official file again"
            )
        yield FinerRecord.of(concept, "nabirds", split, image_id, image=f"images/{path}", class_id=name, source=SOURCE)


def boxes(root: Path, split: str) -> Boxes:
    """Where the birds are, by bounding_boxes.txt, which holds both splits."""
    return listed_boxes(root, with_dashes)


def with_dashes(image_id: str) -> str:
    """An id as images.txt of the authors spells it, a UUID; some copies have lost its dashes, others only in some files."""
    if not re.fullmatch("[0-9a-fA-F]{32}", image_id):
        return image_id
    return str(UUID(image_id))


def clean_name(name: str) -> str:
    """Stray spaces removed: 'Blue-winged Teal  (Male )' -> 'Blue-winged Teal (Male)'."""
    return " ".join(name.split()).replace("( ", "(").replace(" )", ")")


def ancestors(label: str, names: dict[str, str], parents: dict[str, str], root: Path) -> list[str]:
    """Names of all nodes above a class, nearest first; raises on a cycle or an unknown node."""
    chain: list[str] = []
    node = label
    while node in parents:
        node = parents[node]
        if len(chain) > len(parents) or node not in names:
            raise DatasetContentError(
                f"{root / 'hierarchy.txt'}: node {node!r} above class {label} is unknown or its own ancestor"
            )
        chain.append(names[node])
    return chain


_BY_HAND = """\
1. Open https://dl.allaboutbirds.org/nabirds, accept the terms and download nabirds.tar.gz.
2. Check its MD5 sum: df21a9e4db349a14e2b08adfd45873bd
3. tar xzf nabirds.tar.gz
4. finer prepare nabirds --root nabirds
"""

_PAPER = Paper(
    "Building a bird recognition app and large scale dataset with citizen scientists: "
    "The fine print in fine-grained dataset collection",
    "https://doi.org/10.1109/CVPR.2015.7298658",
    """@inproceedings{vanhorn2015nabirds,
  title = {Building a bird recognition app and large scale dataset with citizen scientists:
           The fine print in fine-grained dataset collection},
  author = {Van Horn, Grant and Branson, Steve and Farrell, Ryan and Haber, Scott and Barry, Jessie and
            Ipeirotis, Panos and Perona, Pietro and Belongie, Serge},
  booktitle = {CVPR},
  year = {2015}
}""",
)
READER = Reader(
    name="nabirds",
    source=SOURCE,
    classes=555,
    official={"train": 23929, "test": 24633},
    origin=Origin(
        title="NABirds (Van Horn et al. 2015)",
        home="https://dl.allaboutbirds.org/nabirds",
        terms="Cornell Lab of Ornithology, non-commercial research, no redistribution",
        root="the folder nabirds with hierarchy.txt and images/",
        manual=_BY_HAND,
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    boxes=boxes,
    fingerprints={"train": "51ebf797507da28f", "test": "f93779e5927e3e2d"},
    id_of_file=with_dashes,
)
