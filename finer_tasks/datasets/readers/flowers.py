"""Oxford 102 Flowers: imagelabels.mat and setid.mat, which number images and classes from 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root
from finer_tasks.datasets.readers.mat import load_mat, number_cell
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError

CLASSES = 102
SOURCE = "Oxford 102 Flowers"
_LISTS = {"train": ("trnid", "valid"), "test": ("tstid",)}


def locate(root: Path) -> Path:
    """The folder that holds jpg/, imagelabels.mat and setid.mat."""
    return find_root(root, "setid.mat", ("flowers-102", "102flowers", "oxford-102-flowers"))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits (trnid and valid as train) in the order of setid.mat."""
    taxonomy = load_taxonomy("flowers")
    lists = load_mat(root / "setid.mat", [name for split in SPLITS for name in _LISTS[split]])
    labels = _numbers(load_mat(root / "imagelabels.mat", ["labels"])["labels"], root / "imagelabels.mat", "labels", CLASSES)
    seen: dict[int, str] = {}
    for split in SPLITS:
        for name in _LISTS[split]:
            for image in _numbers(lists[name], root / "setid.mat", name, len(labels)):
                if image in seen:
                    raise DatasetContentError(f"{root / 'setid.mat'}: image {image} is in {seen[image]} and in {name}")
                seen[image] = name
                if split in splits:
                    label, file = str(labels[image - 1]), f"image_{image:05d}"
                    yield FinerRecord.of(
                        taxonomy.concept(label), "flowers", split, file,
                        image=f"jpg/{file}.jpg", class_id=label, source=f"{SOURCE} {name}",
                    )  # fmt: skip


def _numbers(array: Any, path: Path, field: str, most: int) -> list[int]:
    """Whole numbers from 1 to `most`; raises DatasetContentError with the place of any other."""
    found = [number_cell(cell, path, place, field) for place, cell in enumerate(array.ravel(), start=1)]
    if wrong := next((number for number in found if not 1 <= number <= most), None):
        raise DatasetContentError(f"{path}: {field} holds {wrong}, out of range 1…{most}. Copy the official file again")
    return found


_PAPER = Paper(
    "Automated Flower Classification over a Large Number of Classes",
    "https://doi.org/10.1109/ICVGIP.2008.47",
    """@inproceedings{nilsback2008flowers,
  title = {Automated Flower Classification over a Large Number of Classes},
  author = {Nilsback, Maria-Elena and Zisserman, Andrew},
  booktitle = {Indian Conference on Computer Vision, Graphics and Image Processing},
  year = {2008}
}""",
)
_AT = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
READER = Reader(
    name="flowers",
    source=SOURCE,
    classes=CLASSES,
    official={"train": 2040, "test": 6149},
    origin=Origin(
        title="Oxford 102 Flowers (Nilsback & Zisserman 2008)",
        home=f"{_AT}/",
        terms="none stated; photographs belong to their photographers, so keep to research",
        root="the folder that holds jpg/, imagelabels.mat and setid.mat",
        archives=(
            Archive(f"{_AT}/102flowers.tgz", checksum="md5:52808999861908f626f3c1f4e79d11fa"),
            Archive(f"{_AT}/imagelabels.mat", checksum="md5:e0620be6f572b9609742df49c70aed4d"),
            Archive(f"{_AT}/setid.mat", checksum="md5:a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
)
