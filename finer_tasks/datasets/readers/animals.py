"""The animals of ImageNet-1k: its validation images, in folders of classes or with one of the lists of their labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, inside
from finer_tasks.datasets.readers.mat import load_mat, number_cell, text_cell
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line

SOURCE = "ImageNet-1k (ILSVRC 2012), validation"
_IMAGES = ("val", "Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/val")
_SOLUTION = "LOC_val_solution.csv"
_DEVKIT = "ILSVRC2012_devkit_t12/data"
_TRUTH = f"{_DEVKIT}/ILSVRC2012_validation_ground_truth.txt"
# Those of 1,000 classes; what follows in meta.mat are the groups above them.
_CLASSES = 1000
# Models are evaluated on ImageNet, not tuned on it, and what the authors publish has no counts of training images by class.
_SPLITS = ("test",)


def locate(root: Path) -> Path:
    """The folder that holds val/, or the tree of Kaggle's copy with it."""
    return find_root(root, _IMAGES, ("imagenet", "ILSVRC2012"))


def read(root: Path, splits: tuple[str, ...] = _SPLITS) -> Iterator[FinerRecord]:
    """The records of the validation images that show animals, as test split; the official test set has no labels.

    Raises DatasetLayoutError where neither folders of classes nor a list of labels is there.
    """
    taxonomy, images = load_taxonomy("animals"), inside(root, *_IMAGES)
    for file, wnid in _labelled(root, root / images):
        if wnid in taxonomy.classes:
            concept, image = taxonomy.concept(wnid), f"{images}/{file}"
            yield FinerRecord.of(concept, "animals", "test", Path(file).stem, image=image, class_id=wnid, source=SOURCE)


def _labelled(root: Path, images: Path) -> Iterator[tuple[str, str]]:
    """(path below the folder of images, WordNet's offset) of all validation images, in the order of their names or the list."""
    if (root / _SOLUTION).exists():
        yield from ((f"{name}.JPEG", wnid) for name, wnid in _by_solution(root / _SOLUTION))
    elif (root / _TRUTH).exists():
        yield from _by_devkit(root)
    elif folders := sorted(path for path in images.iterdir() if path.is_dir()):
        yield from ((f"{folder.name}/{file.name}", folder.name) for folder in folders for file in sorted(folder.iterdir()))
    else:
        raise DatasetLayoutError(
            f"{images} has images but no folders of classes. Put {_SOLUTION} (of the copy on Kaggle) or {_DEVKIT}/ (the "
            f"official development kit) into {root}"
        )


def _by_solution(path: Path) -> Iterator[tuple[str, str]]:
    """Each line after the head is `<image>,<wnid> <box> <wnid> <box> ...`; all boxes of an image have its one class."""
    for number, line in read_lines(path, OFFICIAL_FILE):
        cells = next(csv.reader([line]))
        if number == 1 and cells[0] == "ImageId":
            continue
        if len(cells) != 2 or not cells[1].startswith("n"):
            raise DatasetContentError(at_line(path, number, f"expected '<image>,<class> <box>', found {line!r:.80}"))
        yield cells[0], cells[1].split()[0]


def _by_devkit(root: Path) -> Iterator[tuple[str, str]]:
    """Line n of the ground truth is the number that meta.mat gives the class of image n, from 1."""
    meta = root / _DEVKIT / "meta.mat"
    synsets = load_mat(meta, ("synsets",))["synsets"].ravel()[:_CLASSES]
    classes = {
        number_cell(row["ILSVRC2012_ID"], meta, number, "ILSVRC2012_ID"): text_cell(row["WNID"], meta, number, "WNID")
        for number, row in enumerate(synsets, start=1)
    }
    for number, line in read_lines(root / _TRUTH, OFFICIAL_FILE):
        if not line.isdecimal() or int(line) not in classes:
            raise DatasetContentError(at_line(root / _TRUTH, number, f"{line!r} is not the number of a class in {meta}"))
        yield f"ILSVRC2012_val_{number:08d}.JPEG", classes[int(line)]


_BY_HAND = """\
1. Ask for access at https://image-net.org and download ILSVRC2012_img_val.tar (MD5 29b22e2961454d5413ddabcf34fc5622)
   and ILSVRC2012_devkit_t12.tar.gz (MD5 fa75699e90414af021442c21a62c3abf).
2. Unpack the first into a folder val, and the second beside it.
3. finer prepare animals --root THE_FOLDER_AROUND_BOTH
Validation images in folders of classes (val/n01440764/...), and the copy on Kaggle with LOC_val_solution.csv, work too.
"""
_PAPER = Paper(
    "ImageNet Large Scale Visual Recognition Challenge",
    "https://arxiv.org/abs/1409.0575",
    """@article{russakovsky2015imagenet,
  title = {{ImageNet} Large Scale Visual Recognition Challenge},
  author = {Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev and Ma, Sean and
            Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya and Bernstein, Michael and Berg, Alexander C. and
            Fei-Fei, Li},
  journal = {International Journal of Computer Vision},
  volume = {115},
  pages = {211--252},
  year = {2015}
}""",
)
READER = Reader(
    name="animals",
    source=SOURCE,
    classes=398,
    official={"test": 19900},
    origin=Origin(
        title="animals of ImageNet-1k (Russakovsky et al. 2015)",
        home="https://image-net.org",
        terms="non-commercial research and education",
        root="the folder that holds val/",
        manual=_BY_HAND,
        splits=_SPLITS,
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
)
