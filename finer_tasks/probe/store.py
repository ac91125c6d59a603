"""Features on disk, in float16 and read by memory mapping, with a record of which rows are there.

    FOLDER/made.json                      what the features come from
    FOLDER/<split>/<point>.npy            a row for each document of the split
    FOLDER/<split>/<point>.scale.npy      what each row is multiplied by; 0 where it is not there yet

Rows are written before their scales, so that a killed run goes on where it was. Several processes write rows of their own. A
row with values beyond float16's range, which large language models have, is stored divided by a power of two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finer_tasks.parsing import differing_keys
from finer_tasks.probe.results import PREDICTIONS, SUMMARY, ProbeError
from finer_tasks.writing import as_json, write_text, writing

Values = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
_LARGEST = float(np.finfo(np.float16).max)
_MADE = "made.json"


@dataclass(frozen=True)
class Column:
    """The features of one point and split."""

    path: Path
    shape: tuple[int, ...]

    @classmethod
    def create(cls, path: Path, shape: tuple[int, ...]) -> Column:
        """Make its files where they are not there; raises ProbeError where they have another shape."""
        column = cls(path, shape)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for file, kind, form in ((path, np.float16, shape), (column._scales, np.float32, shape[:1])):
                if not file.exists():
                    fresh = file.with_suffix(".new")
                    np.lib.format.open_memmap(fresh, "w+", kind, form)
                    os.replace(fresh, file)
        found = np.load(path, mmap_mode="r").shape
        if found != shape:
            raise ProbeError(f"{path} holds features of shape {found}, the model gives {shape}. Remove its folder")
        return column

    @property
    def _scales(self) -> Path:
        return self.path.with_suffix(".scale.npy")

    def there(self) -> npt.NDArray[np.bool_]:
        """Which rows are there."""
        return np.asarray(np.load(self._scales) > 0)

    def write(self, rows: Rows, values: Values) -> None:
        """Put rows to disk for good; values are finite, of shape (rows, …)."""
        if not len(rows):
            return
        largest = np.abs(values).reshape(len(values), -1).max(axis=1)
        scales = np.exp2(np.ceil(np.log2(np.maximum(largest / _LARGEST, 1)))).astype(np.float32)
        packed = (values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float16)
        with writing(self.path):
            _put(self.path, rows, packed)
            _put(self._scales, rows, scales)

    def read(self, rows: Rows) -> Values:
        """Rows as float32."""
        scales = np.load(self._scales, mmap_mode="r")[rows]
        values = np.load(self.path, mmap_mode="r")[rows].astype(np.float32)
        return np.asarray(values * scales.reshape(-1, *[1] * (values.ndim - 1)))


def _put(path: Path, rows: Rows, values: npt.NDArray[Any]) -> None:
    """Write rows of a .npy file in place. Writing to the map instead would end the process where the disk is full."""
    with path.open("r+b") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read(file)
        start, size = file.tell(), values[0].nbytes
        for row, value in zip(rows.tolist(), values, strict=True):
            file.seek(start + row * size)
            file.write(value.tobytes())
        file.flush()
        os.fsync(file.fileno())


def claim(folder: Path, made: Mapping[str, Any]) -> None:
    """Make the folder one for features of this origin; raises ProbeError where it holds those of another."""
    path = folder / _MADE
    if not path.exists():
        others = [path for path in (folder, *(folder.with_name(name) for name in (SUMMARY, PREDICTIONS))) if path.exists()]
        if others:
            raise ProbeError(f"{others[0]} is there, and not of a probe whose features are here. Give another --output")
        write_text(path, as_json(dict(made)) + "\n")
        return
    try:
        differing = differing_keys(path, made)
    except (OSError, ValueError) as error:
        raise ProbeError(f"{path} cannot be read ({error}). Remove {folder}, or give another --output") from error
    if differing:
        raise ProbeError(
            f"{folder} holds the features of another probe: {', '.join(differing)} differ. Give another --output, or remove it"
        )


def columns(folder: Path, split: str, shapes: Mapping[str, Sequence[int]], documents: int) -> dict[str, Column]:
    """The columns of all points of a split, made where they are not there."""
    return {name: Column.create(folder / split / f"{name}.npy", (documents, *shape)) for name, shape in shapes.items()}
