"""What the readers share: finding the folder of a dataset, and the lists that CUB and NABirds have alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from finer_tasks.datasets.lines import read_table
from finer_tasks.errors import DatasetContentError, DatasetLayoutError

_SPLITS = {"1": "train", "0": "test"}
# More folders than this are those of classes.
_FEW = 30


def find_root(root: Path, markers: str | Sequence[str], inner: tuple[str, ...] = ()) -> Path:
    """The folder that holds one of `markers`: `root`, one of the folders usually inside it, or any up to two below it.

    Raises DatasetLayoutError naming what was looked for, or the folders where several hold it.
    """
    markers = (markers,) if isinstance(markers, str) else markers
    if not root.is_dir():
        raise DatasetLayoutError(f"{root} is not a folder. Give the folder of the unpacked dataset with --root")
    usual = (root, *(root / name for name in inner))
    for candidate in usual:
        if _holds(candidate, markers):
            return candidate
    for level in _levels(root):
        found = [folder for folder in level if _holds(folder, markers)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DatasetLayoutError(f"{root} holds several copies: {', '.join(map(str, found))}. Give one of them with --root")
    looked = ", ".join(str(candidate / markers[0]) for candidate in usual)
    raise DatasetLayoutError(f"this does not look like the dataset: none of {looked} exists. Check --root")


def _holds(folder: Path, markers: Sequence[str]) -> bool:
    return any((folder / marker).exists() for marker in markers)


def _levels(root: Path) -> Iterator[list[Path]]:
    """The folders in `root`, then those in them; those of classes, of which there are many, are not looked through."""
    level = [root]
    for _ in range(2):
        level = [inside for folder in level for inside in _folders(folder)]
        yield level


def _folders(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    return found if len(found) <= _FEW else []


def inside(root: Path, usual: str, *others: str) -> str:
    """Of some folders below `root`, the last that is there; the usual one where none is, to be missed by its name."""
    return next((folder for folder in reversed((usual, *others)) if (root / folder).is_dir()), usual)


def listed_images(
    root: Path, splits: tuple[str, ...], spell: Callable[[str], str] = str
) -> Iterator[tuple[str, str, str, str]]:
    """(image id, path, class id, split) by images.txt, image_class_labels.txt and train_test_split.txt.

    CUB and NABirds share this form. `spell` gives an id its one spelling where copies have several. Raises
    DatasetContentError where the files disagree.
    """
    labels = read_table(root / "image_class_labels.txt", "class id", spell)
    flags = read_table(root / "train_test_split.txt", "0 or 1", spell)
    for image_id, path in read_table(root / "images.txt", "image path", spell).items():
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
