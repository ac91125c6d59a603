"""FGVC-Aircraft 2013b: images_variant_*.txt, images_family_*.txt and images_manufacturer_*.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.boxes import Box, Boxes, box_of
from finer_tasks.datasets.lines import read_table
from finer_tasks.datasets.reader import Archive, Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, look_up
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError

SOURCE = "FGVC-Aircraft 2013b"
_SPLITS = {"train": "trainval", "test": "test"}


def locate(root: Path) -> Path:
    """The folder data/ of the dataset, given it or one of the folders around it."""
    return find_root(root, "images_variant_test.txt", ("data", "fgvc-aircraft-2013b/data"))


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits (trainval as train); fine accepts the variant and its family."""
    taxonomy = load_taxonomy("aircraft")
    for split in splits:
        official = _SPLITS[split]
        variants = _table(root, "variant", official)
        families = _table(root, "family", official)
        makers = _table(root, "manufacturer", official)
        for image_id, variant in variants.items():
            concept = taxonomy.concept(variant)
            family = look_up(families, image_id, _path(root, "family", official), "the variant file")
            maker = look_up(makers, image_id, _path(root, "manufacturer", official), "the variant file")
            if family not in concept.fine or maker != concept.coarse[0]:
                raise DatasetContentError(
                    f"{root}: image {image_id} is {variant!r} of family {family!r} and manufacturer {maker!r}, "
                    f"but the dataset has {concept.fine[-1]!r} and {concept.coarse[0]!r}. Copy the official files again"
                )
            yield FinerRecord.of(
                concept, "aircraft", split, image_id,
                image=f"images/{image_id}.jpg", class_id=variant, source=f"{SOURCE} {official}",
            )  # fmt: skip


def _path(root: Path, kind: str, official: str) -> Path:
    return root / f"images_{kind}_{official}.txt"


def _table(root: Path, kind: str, official: str) -> dict[str, str]:
    """One list; trainval may come as the two files train and val."""
    path = _path(root, kind, official)
    if official == "trainval" and not path.exists():
        parts = [read_table(_path(root, kind, part), kind) for part in ("train", "val")]
        if both := parts[0].keys() & parts[1].keys():
            raise DatasetContentError(
                f"{_path(root, kind, 'val')}: image {min(both)} is in the train list as well. Copy the official files again"
            )
        return parts[0] | parts[1]
    return read_table(path, kind)


def boxes(root: Path, split: str) -> Boxes:
    """Where the aircraft are, by images_box.txt, which holds both splits and counts pixels from 1, the last one included."""
    path = root / "images_box.txt"
    rows = read_table(path, "xmin ymin xmax ymax") if path.is_file() else {}
    return {f"images/{key}.jpg": (_from_zero(box_of(text.split(), path, key)),) for key, text in rows.items()}


def _from_zero(box: Box) -> Box:
    return Box(box.left - 1, box.top - 1, box.right, box.bottom)


_PAPER = Paper(
    "Fine-Grained Visual Classification of Aircraft",
    "https://arxiv.org/abs/1306.5151",
    """@techreport{maji2013aircraft,
  title = {Fine-Grained Visual Classification of Aircraft},
  author = {Maji, Subhransu and Kannala, Juho and Rahtu, Esa and Blaschko, Matthew and Vedaldi, Andrea},
  number = {arXiv:1306.5151},
  year = {2013}
}""",
)
READER = Reader(
    name="aircraft",
    source=SOURCE,
    classes=100,
    official={"train": 6667, "test": 3333},
    origin=Origin(
        title="FGVC-Aircraft 2013b (Maji et al. 2013)",
        home="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        terms="non-commercial research only; photographs belong to their photographers",
        root="the folder fgvc-aircraft-2013b/data with images_variant_test.txt and images/",
        archives=(Archive("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"),),
        unpacked="fgvc-aircraft-2013b/data",
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    boxes=boxes,
    fingerprints={"train": "a8a75d45be7bb230", "test": "644c636fa8ef3a0b"},
    crop_bottom=20,  # every picture carries a copyright banner of this height (README of the dataset)
)
