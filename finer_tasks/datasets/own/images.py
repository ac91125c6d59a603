"""images.csv of a dataset of the user's own: every image with its class and its split, written once and then read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from finer_tasks.datasets.own.rows import read_rows
from finer_tasks.datasets.record import SPLITS, is_inside
from finer_tasks.errors import DatasetContentError, at_line

_COLUMNS = ("image", "class", "split")


class Listed(NamedTuple):
    """An image with the dataset's own name of its class; `line` is where the list has it."""

    image: str
    class_name: str
    split: str
    line: int = 0


def read_images(path: Path) -> Iterator[Listed]:
    """The images of a list in its order; raises DatasetContentError with file and line."""
    seen: dict[str, int] = {}
    for row in read_rows(path):
        missing = next((name for name in _COLUMNS if not row.texts.get(name)), None)
        if missing:
            raise DatasetContentError(at_line(path, row.line, f"{missing!r} is empty or missing"))
        image, class_name, split = (row.texts[name] for name in _COLUMNS)
        if split not in SPLITS:
            raise DatasetContentError(at_line(path, row.line, f"the split {split!r:.80} is neither 'train' nor 'test'"))
        if not is_inside(image):
            raise DatasetContentError(at_line(path, row.line, f"{image!r:.200} is no path below the folder of the images"))
        if image in seen:
            raise DatasetContentError(at_line(path, row.line, f"{image!r:.200} is listed in line {seen[image]} already"))
        seen[image] = row.line
        yield Listed(image, class_name, split, row.line)


def images_csv(listed: Iterable[Listed]) -> str:
    """The text of images.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(one[:3] for one in listed)
    return text.getvalue()
