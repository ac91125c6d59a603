"""Where in an image the object lies, as the authors of a dataset publish it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from finer_tasks.datasets.lines import read_table
from finer_tasks.errors import DatasetContentError


class Box(NamedTuple):
    """A rectangle in pixels of the image as it is published."""

    left: float
    top: float
    right: float
    bottom: float


# By path of the image below the dataset's root: the boxes of its objects, mostly one.
Boxes = Mapping[str, tuple[Box, ...]]


def listed_boxes(root: Path, spell: Callable[[str], str] = str) -> Boxes:
    """The boxes of bounding_boxes.txt, which CUB and NABirds share; none where a copy lacks it. `spell` is for ids."""
    path = root / "bounding_boxes.txt"
    if not path.is_file():
        return {}
    images = read_table(root / "images.txt", "image path", spell)
    boxes = read_table(path, "x y width height", spell)
    return {f"images/{image}": (_by_width(boxes[key].split(), path, key),) for key, image in images.items() if key in boxes}


def _by_width(values: Sequence[str], path: Path, key: str) -> Box:
    left, top, width, height = numbers(values, path, key)
    return box_of((left, top, left + width, top + height), path, key)


def box_of(values: Sequence[object], path: Path, key: str) -> Box:
    """The box of four corners; raises DatasetContentError, naming file and image, for one that encloses nothing."""
    box = Box(*numbers(values, path, key))
    if box.right <= box.left or box.bottom <= box.top:
        raise DatasetContentError(f"{path}: the box of image {key} encloses nothing. Copy the official file again")
    return box


def numbers(values: Sequence[object], path: Path, key: str) -> tuple[float, float, float, float]:
    """Four finite numbers; raises DatasetContentError, naming file and image."""
    try:
        first, second, third, fourth = (float(str(value)) for value in values)
    except ValueError:
        first = second = third = fourth = float("nan")
    found = first, second, third, fourth
    if not all(abs(number) < 1e6 for number in found):  # false for NaN
        text = " ".join(map(str, values))
        raise DatasetContentError(f"{path}: the box of image {key} must be four numbers, found {text!r:.80}")
    return found
