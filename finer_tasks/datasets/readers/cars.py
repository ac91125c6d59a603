"""Stanford Cars: the devkit's .mat files, or the CSV lists of the re-upload by class folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from finer_tasks.datasets.boxes import Boxes, box_of
from finer_tasks.datasets.lines import OFFICIAL_FILE, read_lines
from finer_tasks.datasets.reader import Origin, Paper, Reader
from finer_tasks.datasets.readers.files import find_root, inside
from finer_tasks.datasets.readers.mat import load_mat, number_cell, text_cell
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line

SOURCE = "Stanford Cars"
_TEST_LABELS = "cars_test_annos_withlabels.mat"
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


_DEVKITS = ("devkit", "devkit/devkit", "car_devkit/devkit")
_OLDER = "cars_annos.mat"


def locate(root: Path) -> Path:
    """The folder that holds devkit/ (or its files), or anno_train.csv of the CSV layout.

    Raises DatasetLayoutError for the older release in one folder, whose images are numbered otherwise.
    """
    markers = (*(f"{devkit}/cars_meta.mat" for devkit in _DEVKITS), "cars_meta.mat", "anno_train.csv", "devkit")
    try:
        return find_root(root, markers, ("stanford_cars",))
    except DatasetLayoutError:
        if not (root / _OLDER).exists():
            raise
        raise DatasetLayoutError(
            f"{root / _OLDER} numbers the images of both splits in one row (car_ims/), so it does not fit cars_train/ and "
            f"cars_test/. Put devkit/ of car_devkit.tgz and {_TEST_LABELS} beside these"
        ) from None


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of the wanted splits; raises DatasetLayoutError where the labelled test list is missing."""
    taxonomy = load_taxonomy("cars")
    for row in _rows(root, splits):
        concept, image_id = taxonomy.concept(row.class_name), Path(row.image).stem
        yield FinerRecord.of(concept, "cars", row.split, image_id, image=row.image, class_id=row.class_name, source=SOURCE)


def boxes(root: Path, split: str) -> Boxes:
    """Where the cars are, by the lists that give the classes."""
    return {row.image: (box_of(row.corners, root, row.image),) for row in _rows(root, (split,)) if row.corners}


class _Row(NamedTuple):
    """An image of a list, its path below the root, and the corners of its box; none where the list has no boxes."""

    split: str
    image: str
    class_name: str
    corners: Sequence[object]


def _rows(root: Path, splits: tuple[str, ...]) -> Iterator[_Row]:
    return _csv_rows(root, splits) if (root / "anno_train.csv").exists() else _devkit_rows(root, splits)


def _devkit_rows(root: Path, splits: tuple[str, ...]) -> Iterator[_Row]:
    """By the .mat files; both splits use the same file names."""
    devkit = root / inside(root, ".", *_DEVKITS)
    meta = devkit / "cars_meta.mat"
    cells = load_mat(meta, ("class_names",))["class_names"].ravel()
    names = [text_cell(cell, meta, number, "class_names") for number, cell in enumerate(cells, start=1)]
    for split in splits:
        path = devkit / "cars_train_annos.mat" if split == "train" else _test_labels(root, devkit)
        array = load_mat(path, ("annotations",))["annotations"].ravel()
        for field in ("class", "fname"):
            if field not in (array.dtype.names or ()):
                raise DatasetContentError(f"{path} holds no field {field!r}; the labelled list is {_TEST_LABELS}")
        folder = inside(root, f"cars_{split}", f"cars_{split}/cars_{split}")
        corners = _CORNERS if set(_CORNERS) <= set(array.dtype.names) else ()
        for number, row in enumerate(array, start=1):
            label = number_cell(row["class"], path, number, "class")
            file = text_cell(row["fname"], path, number, "fname")
            box = [number_cell(row[corner], path, number, corner) for corner in corners]
            yield _Row(split, f"{folder}/{file}", _class_name(names, label, path, number), box)


def _test_labels(root: Path, devkit: Path) -> Path:
    for folder in (root, devkit, root.parent):
        for name in (_TEST_LABELS, _TEST_LABELS.replace(".mat", " (1).mat")):  # as browsers name a second download
            if (folder / name).exists():
                return folder / name
    raise DatasetLayoutError(
        f"{root}: {_TEST_LABELS} is missing. The devkit's cars_test_annos.mat has no labels; the labelled file is a "
        "separate download. Put it beside devkit/, or prepare the train split alone with --splits train"
    )


def _csv_rows(root: Path, splits: tuple[str, ...]) -> Iterator[_Row]:
    """anno_{train,test}.csv: file name, four box corners, 1-based class; names.csv: one name a line."""
    names = [line.strip('"') for _, line in read_lines(root / "names.csv", OFFICIAL_FILE)]
    inner = inside(root, "car_data", "car_data/car_data")
    for split in splits:
        path = root / f"anno_{split}.csv"
        for number, line in read_lines(path, OFFICIAL_FILE):
            cells = next(csv.reader([line]))
            if number == 1 and not cells[-1].strip().isdecimal():
                continue  # a header, which some copies have
            if len(cells) != 6 or not cells[5].strip().isdecimal():
                raise DatasetContentError(at_line(path, number, f"expected file name, 4 numbers and a class, found {line!r}"))
            name = _class_name(names, int(cells[5]), path, number)
            folder = f"{inner}/{split}/{name.replace('/', '-')}"
            yield _Row(split, f"{folder}/{cells[0]}", name, cells[1:5])


def _class_name(names: list[str], label: int, path: Path, number: int) -> str:
    if not 1 <= label <= len(names):
        raise DatasetContentError(at_line(path, number, f"class {label} is out of range 1…{len(names)}"))
    return names[label - 1]


_BY_HAND = """\
1. The original links answer no more. Get a copy of cars_train.tgz, cars_test.tgz, car_devkit.tgz
   and cars_test_annos_withlabels.mat from a mirror that you trust.
2. Compare the SHA-256 sums with those that TensorFlow Datasets recorded:
   cars_train.tgz 512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288
   cars_test.tgz bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243
   car_devkit.tgz b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd
   cars_test_annos_withlabels.mat 790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05
3. Unpack the three archives into one folder and put the last file beside devkit/.
4. finer prepare cars --root THAT_FOLDER
The re-upload by class folders (anno_train.csv, anno_test.csv, names.csv, car_data/) works too.
"""

_PAPER = Paper(
    "3D Object Representations for Fine-Grained Categorization",
    "https://doi.org/10.1109/ICCVW.2013.77",
    """@inproceedings{krause2013cars,
  title = {{3D} Object Representations for Fine-Grained Categorization},
  author = {Krause, Jonathan and Stark, Michael and Deng, Jia and Fei-Fei, Li},
  booktitle = {ICCV Workshop on 3D Representation and Recognition (3dRR)},
  year = {2013}
}""",
)
READER = Reader(
    name="cars",
    source=SOURCE,
    classes=196,
    official={"train": 8144, "test": 8041},
    origin=Origin(
        title="Stanford Cars (Krause et al. 2013)",
        home="the original address is gone",
        terms="non-commercial research",
        root="the folder that holds devkit/, cars_train/, cars_test/ and cars_test_annos_withlabels.mat",
        manual=_BY_HAND,
        paper=_PAPER,
    ),
    locate=locate,
    read=read,
    benchmark=True,
    boxes=boxes,
    fingerprints={"train": "8ec24b826320a759"},
)
