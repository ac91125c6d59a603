"""Food-101: meta/train.txt and meta/test.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, at_line

SOURCE = "Food-101"


def locate(root: Path) -> Path:
    """The folder that holds meta/ and images/."""
    return find_root(root, "meta/test.txt", ("food-101", "food-101/food-101"))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits in list order; the dish is the folder of the image."""
    taxonomy = load_taxonomy("food")
    seen: dict[str, str] = {}
    for split in SPLITS:
        path = root / "meta" / f"{split}.txt"
        if split not in splits and not path.exists():
            continue
        for number, line in read_lines(path, OFFICIAL_FILE):
            dish, slash, image = line.partition("/")
            if not slash or not image or "/" in image:
                raise DatasetContentError(at_line(path, number, f"expected '<dish>/<image>', found {line!r}"))
            if line in seen:
                raise DatasetContentError(at_line(path, number, f"image {line!r} is in the {seen[line]} list as well"))
            seen[line] = split
            if split in splits:
                yield FinerRecord.of(
                    taxonomy.concept(dish), "food", split, f"{dish}_{image}",
                    image=f"images/{line}.jpg", class_id=dish, source=SOURCE,
                )  # fmt: skip


_PAPER = Paper(
    "Food-101 - Mining Discriminative Components with Random Forests",
    "https://doi.org/10.1007/978-3-319-10599-4_29",
    """@inproceedings{bossard2014food,
  title = {{Food-101} -- Mining Discriminative Components with Random Forests},
  author = {Bossard, Lukas and Guillaumin, Matthieu and Van Gool, Luc},
  booktitle = {ECCV},
  year = {2014}
}""",
)
READER = Reader(
    name="food",
    source=SOURCE,
    classes=101,
    official={"train": 75750, "test": 25250},
    origin=Origin(
        title="Food-101 (Bossard et al. 2014)",
        home="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        terms="images of Foodspotting, scientific fair use only; other use is to be settled with their owners",
        root="the folder food-101 with meta/ and images/",
        archives=(
            Archive("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", checksum="md5:85eeb15f3717b99a5da872d97d918f87"),
        ),
        unpacked="food-101",
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
)
