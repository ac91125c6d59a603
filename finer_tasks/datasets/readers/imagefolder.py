"""A tree of class folders, with a folder for each split above them or without: <split>/<class>/<image>.

Nothing here knows a dataset: what the folders are called is given on as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from finer_tasks.errors import DatasetLayoutError

# What people and the tools of others save photographs as; anything else in the tree is no image.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jfif"})
_SPLIT_FOLDER = re.compile(r"(?:.*[_-])?(train|training|trainval|val|valid|validation|test|testing)", re.IGNORECASE)
_SPLIT_NAMES = {"training": "train", "trainval": "train", "val": "validation", "valid": "validation", "testing": "test"}


_NO_DATA = (".", "__MACOSX")  # hidden, or what an archive of macOS brings


class FolderImage(NamedTuple):
    """An image of the tree: the folder of its split ("" where there is none), of its class, and its path below the root."""

    split: str
    class_name: str
    path: str


def split_named(folder: str) -> str | None:
    """train, validation or test, where a folder's name says that: "train", "cars_test", "Validation"; None for any other."""
    match = _SPLIT_FOLDER.fullmatch(folder)
    return _SPLIT_NAMES.get(match[1].lower(), match[1].lower()) if match else None


def walk_image_folder(root: Path) -> Iterator[FolderImage]:
    """The images of a tree in the order of their paths; hidden files and what is no image by its name are passed over.

    The class is the folder that an image lies in. Folders that stand alone in another (`train/train/`) are passed through;
    beside folders of splits, others are passed over. Raises DatasetLayoutError where there is no folder, or where an image
    lies in no class folder.
    """
    if not root.is_dir():
        raise DatasetLayoutError(f"{root} is not a folder. Give the one with the class folders, or with train/ and test/")
    top = _inner(root, stop=split_named)
    splits = [folder for folder in _folders(top) if split_named(folder.name)]
    for folder, split in [(folder, folder.name) for folder in splits] or [(top, "")]:
        start = _inner(folder)
        for image in _images_below(start):
            if image.parent == start:
                raise DatasetLayoutError(
                    f"{image} lies in no class folder. Each image must be in a folder named as its class: "
                    f"{start / 'CLASS' / image.name}"
                )
            yield FolderImage(split, image.parent.name, image.relative_to(root).as_posix())


def _inner(folder: Path, stop: Callable[[str], str | None] = lambda name: None) -> Path:
    """Into folders that stand alone, as long as those hold further folders, and so are no class, and need not be kept."""
    while len(inside := _folders(folder)) == 1 and not _has_images(folder) and _folders(inside[0]):
        if stop(inside[0].name):
            break
        folder = inside[0]
    return folder


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(_NO_DATA))


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_image(entry.name) and entry.is_file() for entry in entries)


def _is_image(name: str) -> bool:
    return not name.startswith(_NO_DATA) and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _images_below(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()  # a link may lead to a folder above it
    for parent, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(_NO_DATA))
        yield from (Path(parent, name) for name in sorted(files) if _is_image(name))
