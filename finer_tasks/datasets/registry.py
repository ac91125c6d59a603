"""The readers by dataset name. A new dataset is one module here, one taxonomy and its task YAMLs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.readers import aircraft, cars, cub, dogs, inat, nabirds
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.datasets.taxonomy import Concept
from finer_tasks.errors import DatasetLayoutError


class Reader(Protocol):
    """What every reader module offers."""

    OFFICIAL: dict[str, int]
    CLASSES: int
    SOURCE: str

    def locate(self, root: Path) -> Path: ...

    def concepts(self, root: Path) -> dict[str, Concept]: ...

    def read(self, root: Path, splits: tuple[str, ...] = ...) -> Iterator[FinerRecord]: ...


READERS: dict[str, Reader] = {
    "cub": cub, "aircraft": aircraft, "dogs": dogs, "cars": cars, "nabirds": nabirds, "inat": inat, "mini": mini,
}  # fmt: skip


def get_reader(name: str) -> Reader:
    """The reader of a dataset; raises DatasetLayoutError with the known names."""
    if name not in READERS:
        raise DatasetLayoutError(f"unknown dataset {name!r}; known are {', '.join(READERS)}")
    return READERS[name]


def official_counts(name: str, root: Path) -> dict[str, int]:
    """Images per split that the authors publish."""
    return inat.official(root) if name == "inat" else get_reader(name).OFFICIAL


def crop_bottom(name: str) -> int:
    """Rows of pixels at the bottom of every image that are not part of the picture."""
    return aircraft.CROP_BOTTOM if name == "aircraft" else 0
