"""Rows of result files of other kits, each with its place in the file."""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.errors import at_line
from finer_tasks.exchange.asking import ExchangeError
from finer_tasks.parsing import parse_json, read_utf8

csv.field_size_limit(1 << 30)  # a row may hold an image


@dataclass(frozen=True)
class Row:
    """One row by column, and where it stands: `file:line`. Values are text; None where there is none."""

    path: Path
    line: int
    values: Mapping[str, str | None]

    def told(self, problem: str, fix: str = "") -> ExchangeError:
        """An error that points at this row."""
        return ExchangeError(at_line(self.path, self.line, problem, fix))


def read_rows(path: Path) -> list[Row]:
    """The rows of a TSV, CSV, XLSX, JSON or PKL file of VLMEvalKit; raises ExchangeError.

    Lines count from 1, the head of a table being the first; those of JSON and PKL are the numbers of the entries.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ExchangeError(f"{path}: result files of VLMEvalKit end in {', '.join(_READERS)}")
    if not path.is_file():
        raise ExchangeError(f"{path} is no file")
    rows = list(read(path))
    if not rows:
        raise ExchangeError(f"{path} holds no rows")
    return rows


def _text(value: Any) -> str | None:
    """A cell as text; whole numbers, which spreadsheets keep as floats, without a point."""
    if value is None or value == "":
        return None
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def _table(separator: str) -> Callable[[Path], Iterator[Row]]:
    def read(path: Path) -> Iterator[Row]:
        reader = csv.reader(io.StringIO(read_utf8(path, ExchangeError, "utf-8-sig"), newline=""), delimiter=separator)
        try:
            head = [name.strip() for name in next(reader, [])]
            _require_once(path, head)
            start = reader.line_num + 1
            for cells in reader:
                if len(cells) != len(head):
                    told = f"the row has {len(cells)} cells, the head has {len(head)}"
                    raise ExchangeError(at_line(path, start, told, "The file is damaged or cut off"))
                yield Row(path, start, {name: cell or None for name, cell in zip(head, cells, strict=True)})
                start = reader.line_num + 1
        except csv.Error as error:
            raise ExchangeError(at_line(path, reader.line_num, str(error))) from error

    return read


def _require_once(path: Path, head: Sequence[str]) -> None:
    """Refuse a table in which two columns have one name, since either may be meant."""
    if twice := next((name for name in head if name and head.count(name) > 1), None):
        raise ExchangeError(at_line(path, 1, f"two columns are called {twice}", "Leave one of them out"))


def _sheet(path: Path) -> Iterator[Row]:
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except Exception as error:  # of a file that is none, openpyxl and zipfile raise what they like
        raise ExchangeError(f"{path} is no readable XLSX file ({error or type(error).__name__})") from error
    head = [str(name).strip() if name is not None else "" for name in (rows or [()])[0]]
    _require_once(path, head)
    for number, cells in enumerate(rows[1:], start=2):
        yield Row(path, number, {name: _text(cell) for name, cell in zip(head, cells, strict=False) if name})


def _records(path: Path) -> Iterator[Row]:
    try:
        found = parse_json(path.read_bytes(), allow_nan=True)
    except (OSError, ValueError) as error:
        raise ExchangeError(f"{path} is no JSON that can be read ({error})") from error
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise ExchangeError(f"{path} is no list of records, as VLMEvalKit writes with PRED_FORMAT=json")
    for number, record in enumerate(found, start=1):
        yield Row(path, number, {str(name): _text(value) for name, value in record.items()})


class _Plain(pickle.Unpickler):
    """Reads plain dictionaries, lists, texts and numbers. Anything else in a pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, and reading such may run any code")


def _pickled(path: Path) -> Iterator[Row]:
    """The answers by index, as the kit keeps them while it runs."""
    try:
        with path.open("rb") as file:
            found = _Plain(file).load()
    except Exception as error:
        raise ExchangeError(
            f'{path} is no pickle of plain answers ({error}). If you trust it, turn it into a TSV: python -c "import pandas; '
            f"pandas.read_pickle('{path}').to_csv('answers.tsv', sep='\\t', index=False)\""
        ) from error
    if not isinstance(found, dict):
        raise ExchangeError(f"{path} holds no answers by index")
    for number, (index, answer) in enumerate(found.items(), start=1):
        yield Row(path, number, {"index": _text(index), "prediction": _text(answer)})


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".tsv": _table("\t"), ".csv": _table(","), ".xlsx": _sheet, ".json": _records, ".pkl": _pickled,
}  # fmt: skip
