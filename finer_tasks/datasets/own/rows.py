"""Lists as people have them, CSV or JSON lines: rows by column, with the line where each stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.datasets.lines import read_lines
from finer_tasks.errors import DatasetContentError, at_line
from finer_tasks.parsing import parse_json, read_utf8

_JSON_LINES = (".jsonl", ".ndjson")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """One row of a list: the line where it ends, and its texts by column, stripped; those of empty cells are empty."""

    line: int
    texts: dict[str, str]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a .jsonl file, or of a table in text with a header: commas, semicolons, tabs or bars part its columns.

    Raises DatasetContentError with file and line for what is no UTF-8, no row of this form, or has too few or many cells.
    """
    rows = _json_lines(path) if path.suffix.lower() in _JSON_LINES else _csv(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DatasetContentError(f"{path} lists nothing")


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in read_lines(path):
        try:
            value = parse_json(line)
        except ValueError as error:
            raise DatasetContentError(at_line(path, number, f"no valid JSON: {error}")) from error
        if not isinstance(value, dict):
            raise DatasetContentError(at_line(path, number, "expected an object with a value for each column"))
        if odd := next((key for key, item in value.items() if isinstance(item, dict | list | bool)), None):
            raise DatasetContentError(at_line(path, number, f"the value of {odd!r} must be text"))
        yield Row(number, {key: "" if item is None else str(item).strip() for key, item in value.items()})


def _csv(path: Path) -> Iterator[Row]:
    text = read_utf8(path, DatasetContentError, "utf-8-sig")
    delimiter = max(_DELIMITERS, key=lambda one: len(next(csv.reader(io.StringIO(text), delimiter=one), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            texts = [cell.strip() for cell in cells]
            if not any(texts):
                continue
            if not header:
                header = _header(path, reader.line_num, texts)
            elif len(texts) != len(header):
                raise DatasetContentError(
                    at_line(path, reader.line_num, f"{len(texts)} cells, the header has {len(header)} columns")
                )
            else:
                yield Row(reader.line_num, dict(zip(header, texts, strict=True)))
    except csv.Error as error:
        raise DatasetContentError(at_line(path, reader.line_num, f"no valid CSV: {error}")) from error


def _header(path: Path, line: int, names: list[str]) -> list[str]:
    if len(names) < 2:
        raise DatasetContentError(
            at_line(path, line, f"{names[0]!r:.80} is one column only", "Part the columns by commas, semicolons or tabs")
        )
    if double := next((name for name in names if names.count(name) > 1), None):
        raise DatasetContentError(at_line(path, line, f"two columns are called {double!r}"))
    return names
