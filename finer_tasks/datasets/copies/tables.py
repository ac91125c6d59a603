"""Copies as tables. Images inside of a table are written out as files once, byte for byte; those beside it stay there."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image
from tqdm import tqdm

from finer_tasks.datasets.copies.columns import Columns, label_text, label_texts
from finer_tasks.datasets.copies.copy import CopyImage
from finer_tasks.datasets.readers.imagefolder import IMAGE_SUFFIXES
from finer_tasks.errors import DatasetContentError, OutputError, os_error_text
from finer_tasks.writing import writing

if TYPE_CHECKING:
    from datasets import Dataset

_BATCH = 100
_IN_A_FOLDER = 10_000
_SPARE = 1 << 28  # bytes of a disk that are left free


class _Stored(NamedTuple):
    """An image as a table has it: its bytes, or where its file is; `path` is often its former name alone."""

    data: bytes | None
    path: str


@dataclass(frozen=True)
class TableLayout:
    """Tables by split. `folder` is what paths in them are relative to, `target` where images inside of them are written."""

    source: str
    command: str
    tables: Mapping[str, Dataset]
    columns: Columns
    folder: Path
    target: Path

    @property
    def splits(self) -> Mapping[str, int]:
        return {split: len(table) for split, table in self.tables.items()}

    @cached_property
    def root(self) -> Path:
        """Where images are written, or the folder that holds all files that the tables name."""
        if self._embedded:
            return self.target
        parents = {os.path.dirname(self._file(stored)) for split in self.tables for stored in self._stored(split)}
        return Path(os.path.commonpath(parents))

    def labels(self, splits: Iterable[str]) -> Iterator[str]:
        for split in splits:
            yield from label_texts(self.tables[split], self.columns.label, split)

    def images(self, split: str) -> Iterator[CopyImage]:
        """The images of a split; raises DatasetContentError for a row without one, OutputError where the disk is full."""
        stored = self._written(split) if self._embedded else ((one, self._below(one)) for one in self._stored(split))
        for (one, path), label, name in zip(stored, self._labels(split), self._names(split), strict=True):
            # With the folder it was in, which mostly is that of its class: names may be numbers within a class.
            yield CopyImage(label, path, name or "/".join(Path(one.path).parts[-2:]))

    @cached_property
    def _embedded(self) -> bool:
        return any(_has_bytes(table, self.columns.image) for table in self.tables.values())

    def _stored(self, split: str) -> Iterator[_Stored]:
        column = self.columns.image
        table = _undecoded(self.tables[split].select_columns([column]), column)
        place = 0
        for batch in table.iter(_BATCH):
            for value in batch[column]:
                yield _stored(value, split, column, place)
                place += 1

    def _labels(self, split: str) -> Iterator[str]:
        table, column = self.tables[split], self.columns.label
        for batch in table.select_columns([column]).iter(_BATCH):
            yield from (label_text(table, column, value, split) for value in batch[column])

    def _names(self, split: str) -> Iterator[str]:
        table, column = self.tables[split], self.columns.file
        if not column:
            yield from [""] * len(table)
            return
        for batch in table.select_columns([column]).iter(_BATCH):
            yield from (str(value or "") for value in batch[column])

    def _file(self, stored: _Stored) -> str:
        return os.path.normpath(self.folder / stored.path)

    def _beside(self, stored: _Stored, split: str, place: int) -> bytes:
        try:
            return Path(self._file(stored)).read_bytes()
        except OSError as error:
            raise DatasetContentError(
                f"row {place} of {split or 'the table'}: the image is not in the table, and {self._file(stored)} cannot be "
                f"read: {os_error_text(error)}. Put the file there, or take the row out"
            ) from error

    def _below(self, stored: _Stored) -> str:
        return os.path.relpath(self._file(stored), self.root)

    def _written(self, split: str) -> Iterator[tuple[_Stored, str]]:
        """Write the images that are not there yet; what an interrupted preparation wrote is kept."""
        folder = self.target / (split or "all")
        with writing(folder):
            _require_space(self.tables[split], folder)
            bar = tqdm(self._stored(split), total=len(self.tables[split]), desc=f"write {split}", unit=" images", mininterval=1)
            for place, stored in enumerate(bar):
                data = self._beside(stored, split, place) if stored.data is None else stored.data
                path = folder / f"{place // _IN_A_FOLDER:03d}" / f"{place:07d}{_suffix(stored, data)}"
                _write_once(path, data)
                yield stored._replace(data=b""), path.relative_to(self.target).as_posix()


def _has_bytes(table: Dataset, column: str) -> bool:
    """Whether any row holds an image itself; no image is read for it."""
    import pyarrow as pa

    for chunk in table.data.column(column).chunks:
        held = chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk
        if pa.types.is_struct(held.type):
            held = held.field("bytes") if held.type.get_field_index("bytes") >= 0 else held.slice(0, 0)
        if (pa.types.is_binary(held.type) or pa.types.is_large_binary(held.type)) and held.null_count < len(held):
            return True
    return False


def _undecoded(table: Dataset, column: str) -> Dataset:
    from datasets import Image as ImageFeature

    return table.cast_column(column, ImageFeature(decode=False)) if isinstance(table.features[column], ImageFeature) else table


def _stored(value: Any, split: str, column: str, place: int) -> _Stored:
    if isinstance(value, dict):
        data, path = value.get("bytes"), str(value.get("path") or "")
    else:
        data, path = (value, "") if isinstance(value, bytes) else (None, str(value or ""))
    if not data and not path:
        raise DatasetContentError(f"row {place} of {split or 'the table'}: column {column!r} holds no image")
    if data is None and "://" in path:
        raise DatasetContentError(f"row {place} of {split or 'the table'}: the image is not in the table but at {path}")
    return _Stored(data, path)


def _require_space(table: Dataset, folder: Path) -> None:
    """Raise OutputError before the first image is written if the disk cannot take them all."""
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0
    needed = table.data.nbytes - there
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if (free := shutil.disk_usage(place).free) < needed + _SPARE:
        raise OutputError(
            f"writing the images out takes {needed / 1e9:.1f} GB below {folder}, where {free / 1e9:.1f} GB are free. "
            "Free space, or set FINER_DATA_DIR to another place"
        )


def _write_once(path: Path, data: bytes) -> None:
    try:
        if path.stat().st_size == len(data):
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def _suffix(stored: _Stored, data: bytes) -> str:
    """The suffix of the former name, else of what the bytes are; none for what is no image."""
    suffix = os.path.splitext(stored.path)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        return suffix
    try:
        with Image.open(io.BytesIO(data)) as image:
            return f".{(image.format or '').lower()}".replace(".jpeg", ".jpg")
    except Exception:  # decoders raise many kinds; the doctor names images that cannot be decoded
        return ".bin"
