"""Reading the datasets' text files: encoding, line endings, blank lines, and errors with a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line, os_error_text

OFFICIAL_FILE = "It is part of the official dataset"
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


def read_lines(path: Path, advice: str = "") -> Iterator[tuple[int, str]]:
    """Numbered non-blank lines, stripped, as a stream; UTF-8 with or without mark; any line ending.

    Raises DatasetLayoutError, with the advice, where the file cannot be read, and DatasetContentError
    with the line that is no text in UTF-8: names in a guessed encoding would be wrong labels.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line or not (line.isascii() or _is_utf8(line)):
                    raise DatasetContentError(at_line(path, number, "not text in UTF-8", "Save the file as UTF-8"))
                if stripped := line.strip():
                    yield number, stripped
    except OSError as error:
        raise DatasetLayoutError(f"{path} cannot be read: {os_error_text(error)}. {advice}".rstrip(". ")) from error


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_table(path: Path, what: str) -> dict[str, str]:
    """A file of `<key> <value with spaces>` lines as a dict in file order.

    Raises DatasetContentError, with file and line, for a line without a value or a repeated key.
    """
    table: dict[str, str] = {}
    for number, line in read_lines(path, OFFICIAL_FILE):
        key, _, value = line.partition(" ")
        if not value.strip():
            raise DatasetContentError(at_line(path, number, f"expected '<id> <{what}>', found {line!r}"))
        if key in table:
            raise DatasetContentError(at_line(path, number, f"id {key!r} appears twice"))
        table[key] = value.strip()
    if not table:
        raise DatasetContentError(f"{path} is empty. Copy the official file again")
    return table


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
