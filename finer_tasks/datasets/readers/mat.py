"""MATLAB files of the datasets, read through scipy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finer_tasks.errors import DatasetContentError, DatasetLayoutError, at_line


def load_mat(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    """The named variables of a .mat file as numpy arrays; FinerErrors name the file and the variable."""
    import scipy.io

    if not path.exists():
        raise DatasetLayoutError(f"{path} is missing; it is part of the official dataset")
    try:
        content = scipy.io.loadmat(str(path))
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise DatasetContentError(f"{path} is not a readable MATLAB file ({error}). Copy the official file again") from error
    for name in variables:
        if name not in content:
            raise DatasetContentError(f"{path} holds no variable {name!r}. Copy the official file again")
    return content


def text_cell(cell: Any, path: Path, number: int, field: str) -> str:
    """The text in a cell of a MATLAB array; `number` is its place, from 1."""
    value = _single(cell)
    if not isinstance(value, str) or not value.strip():
        raise DatasetContentError(at_line(path, number, f"{field} must be text, found {value!r:.80}"))
    return value


def number_cell(cell: Any, path: Path, number: int, field: str) -> int:
    """The whole number in a cell of a MATLAB array; `number` is its place, from 1."""
    value = _single(cell)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise DatasetContentError(at_line(path, number, f"{field} must be a whole number, found {value!r:.80}"))
    return int(value)


def _single(cell: Any) -> Any:
    """What a cell holds, however deep scipy nests arrays of one element; the array itself where it has several."""
    while hasattr(cell, "item") and getattr(cell, "size", 1) == 1:
        cell = cell.item()
    return cell
