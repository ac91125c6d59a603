"""The datasets: a row each, from which task names, commands and checks follow.

A new dataset is a module in readers/, a taxonomy of the same name, and a row here.
"""

from __future__ import annotations

from collections.abc import Mapping

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.reader import Reader
from finer_tasks.datasets.readers import aircraft, animals, cars, cub, dogs, flowers, food, inat, nabirds, pets, vegfru
from finer_tasks.errors import DatasetLayoutError

_ROWS = (
    cub.READER,
    aircraft.READER,
    dogs.READER,
    cars.READER,
    nabirds.READER,
    inat.READER,
    pets.READER,
    flowers.READER,
    food.READER,
    vegfru.READER,
    animals.READER,
    mini.READER,
)
READERS: Mapping[str, Reader] = {reader.name: reader for reader in _ROWS}
DATASETS = tuple(READERS)


def get_reader(name: str) -> Reader:
    """The reader of a dataset; raises DatasetLayoutError with the known names."""
    if name not in READERS:
        raise DatasetLayoutError(f"unknown dataset {name!r}; known are {', '.join(READERS)}")
    return READERS[name]
