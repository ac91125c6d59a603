"""What the readers share: finding the folder of a dataset, and the lists that CUB and NABirds have alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.datasets.lines import read_table
from finer_tasks.errors import DatasetContentError, DatasetLayoutError

_SPLITS = {"1": "train", "0": "test"}


def find_root(root: Path, marker: str, inner: tuple[str, ...] = ()) -> Path:
    """The folder that holds `marker`: `root` itself or one of the folders usually inside it.

    Raises DatasetLayoutError naming what was looked for.
    """
    if not root.is_dir():
        raise DatasetLayoutError(f"{root} is not a folder. Give the folder of the unpacked dataset with --root")
    for candidate in (root, *(root / name for name in inner)):
        if (candidate / marker).exists():
            return candidate
    looked = ", ".join(str(candidate / marker) for candidate in (root, *(root / name for name in inner)))
    raise DatasetLayoutError(f"this does not look like the dataset: none of {looked} exists. Check --root")


def listed_images(root: Path, splits: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """(image id, path, class id, split) by images.txt, image_class_labels.txt and train_test_split.txt.

    CUB and NABirds share this form. Raises DatasetContentError where the files disagree.
    """
    labels = read_table(root / "image_class_labels.txt", "class id")
    flags = read_table(root / "train_test_split.txt", "0 or 1")
    for image_id, path in read_table(root / "images.txt", "image path").items():
        label = look_up(labels, image_id, root / "image_class_labels.txt", "images.txt")
        flag = look_up(flags, image_id, root / "train_test_split.txt", "images.txt")
        if flag not in _SPLITS:
            raise DatasetContentError(f"{root / 'train_test_split.txt'}: image {image_id}: {flag!r} is neither 0 nor 1")
        if _SPLITS[flag] in splits:
            yield image_id, path, label, _SPLITS[flag]


def look_up(table: dict[str, str], key: str, path: Path, other: str) -> str:
    """`table[key]`, or a DatasetContentError saying that `path` lacks an id that `other` has."""
    try:
        return table[key]
    except KeyError:
        raise DatasetContentError(
            f"{path} has no line for id {key!r}, which {other} names. Copy the official file again"
        ) from None
