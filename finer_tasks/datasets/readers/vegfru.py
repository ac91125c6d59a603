"""VegFru: veg200_lists/veg_{train,val,test}.txt, and the same of fru92, with the path of an image and its number on a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, at_line

SOURCE = "VegFru"
_PARTS = ("veg200", "fru92")
_LISTS = {"train": ("train", "val"), "test": ("test",)}


def locate(root: Path) -> Path:
    """The folder that holds veg200_lists/ and fru92_lists/."""
    return find_root(root, "veg200_lists", ("vegfru", "vegfru-dataset"))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits (train and val as train), vegetables before fruits, in the order of the lists."""
    taxonomy = load_taxonomy("vegfru")
    for split in splits:
        for image, name in _listed(root, split):
            concept, image_id = taxonomy.concept(name), Path(image).stem
            yield FinerRecord.of(concept, "vegfru", split, f"{name}/{image_id}", image=image, class_id=name, source=SOURCE)


def _listed(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(path below the root, name of the folder, which is the class) of the images of a split.

    Raises DatasetContentError for a line of another form, and where the number of a class is not that of its other images.
    """
    for part in _PARTS:
        numbers: dict[str, str] = {}
        for official in _LISTS[split]:
            path = root / f"{part}_lists" / f"{part[:3]}_{official}.txt"
            for number, line in read_lines(path, OFFICIAL_FILE):
                image, _, label = line.rpartition(" ")
                name, slash, _ = image.partition("/")
                if not slash or not label.isdecimal():
                    raise DatasetContentError(at_line(path, number, f"expected '<class>/<image> <number>', found {line!r}"))
                if numbers.setdefault(name, label) != label:
                    raise DatasetContentError(
                        at_line(path, number, f"class {label} of {image!r}; others of {name} have {numbers[name]}")
                    )
                yield f"{part}_images/{image}", name


_BY_HAND = """\
1. Follow the link to the dataset on https://github.com/ustc-vim/vegfru and download all of it.
2. Unpack the images and the lists of veg200 and fru92 into one folder.
3. finer prepare vegfru --root THAT_FOLDER
"""
_PAPER = Paper(
    "VegFru: A Domain-Specific Dataset for Fine-Grained Visual Categorization",
    "https://doi.org/10.1109/ICCV.2017.66",
    """@inproceedings{hou2017vegfru,
  title = {{VegFru}: A Domain-Specific Dataset for Fine-Grained Visual Categorization},
  author = {Hou, Saihui and Feng, Yushan and Wang, Zilei},
  booktitle = {ICCV},
  year = {2017}
}""",
)
READER = Reader(
    name="vegfru",
    source=SOURCE,
    classes=292,
    official={"train": 43800, "test": 116931},
    origin=Origin(
        title="VegFru (Hou et al. 2017)",
        home="https://github.com/ustc-vim/vegfru",
        terms="none are stated where the authors publish it; ask them before any use but research",
        root="the folder that holds veg200_images/, veg200_lists/, fru92_images/ and fru92_lists/",
        manual=_BY_HAND,
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
)
