"""Reading text files of others line by line: encoding, line endings, blank lines, and errors with a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line, os_error_text

OFFICIAL_FILE = "It is part of the official dataset"


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


def read_table(path: Path, what: str, spell: Callable[[str], str] = str) -> dict[str, str]:
    """A file of `<key> <value with spaces>` lines as a dict in file order; `spell` gives a key its one spelling.

    Raises DatasetContentError, with file and line, for a line without a value or a repeated key.
    """
    table: dict[str, str] = {}
    for number, line in read_lines(path, OFFICIAL_FILE):
        written, _, value = line.partition(" ")
        key = spell(written)
        if not value.strip():
            raise DatasetContentError(at_line(path, number, f"expected '<id> <{what}>', found {line!r}"))
        if key in table:
            raise DatasetContentError(at_line(path, number, f"id {key!r} appears twice"))
        table[key] = value.strip()
    if not table:
        raise DatasetContentError(f"{path} is empty. Copy the official file again")
    return table
