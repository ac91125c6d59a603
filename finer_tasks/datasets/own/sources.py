"""What a user has: a list of images with their classes, or a folder with a folder for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.datasets.own.rows import Row, read_rows
from finer_tasks.datasets.readers.imagefolder import walk_image_folder
from finer_tasks.datasets.record import SPLITS
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line

# What a column is for, and the names by which it is known without being told.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "file_name", "filename", "file", "path", "image_path", "img_path", "filepath", "image_name"),
    "class": ("class", "label", "class_name", "label_name", "category", "species", "scientific_name", "name", "target"),
    "split": ("split", "set", "subset", "partition"),
    "coarse": ("coarse",),
    "superordinate": ("superordinate",),
    "group": (),
}
LEFT_OUT = "none"


@dataclass(frozen=True)
class Found:
    """An image as its owner lists it; texts that are not told are empty.

    Attributes:
        split: as the owner calls it.
        group: what must not be parted over the splits, such as one plant photographed ten times.
        where: file and line, or the path, for messages.
    """

    image: str
    class_name: str
    split: str = ""
    coarse: str = ""
    superordinate: str = ""
    group: str = ""
    where: str = ""


def from_folder(images: Path) -> list[Found]:
    """The images below a folder by their class folders; folders between that of a split and these are coarse groups."""
    found = [
        Found(one.path, one.class_name.strip(), split=one.split, coarse=_folder_above(one.path, one.split), where=one.path)
        for one in walk_image_folder(images)
    ]
    if not found:
        raise DatasetLayoutError(f"{images} holds no image in a class folder. Give another --images, or a --list")
    grouped = len({one.coarse for one in found}) > 1 and all(one.coarse for one in found)
    return found if grouped else [Found(one.image, one.class_name, one.split, where=one.where) for one in found]


def _folder_above(path: str, split: str) -> str:
    """The folder above that of the class, but for that of the split."""
    above = path.split("/")[:-2]
    return above[-1] if above and above[-1] != split else ""


def guess_columns(path: Path, names: Iterable[str], told: Mapping[str, str]) -> dict[str, str]:
    """The column for each use that has one: as told, else by its name; raises DatasetContentError."""
    names = list(names)
    known = {name.casefold().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    if wrong := next((column for column in told.values() if column not in names), None):
        raise DatasetContentError(f"{path} has no column {wrong!r}; its columns are {', '.join(names)}")
    found = {}
    for use, usual in COLUMNS.items():
        column = told.get(use) or next((known[name] for name in usual if name in known), "")
        if column:
            found[use] = column
        elif use in ("image", "class"):
            raise DatasetContentError(
                f"{path}: which column has the {use}? Its columns are {', '.join(names)}: say it by --columns {use}=COLUMN"
            )
    return found


def from_list(path: Path, images: Path, told: Mapping[str, str]) -> tuple[dict[str, str], list[Found]]:
    """The columns of a list and what its rows say, paths taken below the folder of the images; raises DatasetContentError."""
    rows = list(read_rows(path))
    columns = guess_columns(path, dict.fromkeys(name for row in rows for name in row.texts), told)
    return columns, [_found(path, row, columns, images) for row in rows]


def _found(path: Path, row: Row, columns: Mapping[str, str], images: Path) -> Found:
    texts = {use: row.texts.get(column, "") for use, column in columns.items()}
    for use in ("image", "class"):
        if not texts[use]:
            raise DatasetContentError(at_line(path, row.line, f"{columns[use]!r} is empty or missing"))
    image = texts.pop("image").replace("\\", "/")
    if Path(image).is_absolute() and Path(image).is_relative_to(images):
        image = Path(image).relative_to(images).as_posix()
    return Found(image.removeprefix("./"), texts.pop("class"), where=f"{path}:{row.line}", **texts)


def official_splits(found: Iterable[Found], told: Mapping[str, str]) -> Iterator[Found]:
    """The images whose split is train or test, as the owner calls it or by what is told of his names; others are left out.

    Raises DatasetContentError for a split of another name.
    """
    for one in found:
        split = told.get(one.split, one.split)
        if split == LEFT_OUT:
            continue
        if split not in SPLITS:
            raise DatasetContentError(
                f"{one.where}: the split {one.split!r:.80} is neither 'train' nor 'test'. Say what it is by "
                f"--map-split {one.split}=train, =test or ={LEFT_OUT}, which leaves it out"
            )
        yield Found(one.image, one.class_name, split, one.coarse, one.superordinate, one.group, one.where)
