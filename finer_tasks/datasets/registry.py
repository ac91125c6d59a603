"""The datasets: a row each, from which task names, commands and checks follow.

A new dataset is a module in readers/, a taxonomy of the same name, and a row here. Those of a user's own come beside them
from FINER_TASKS_DIR (own/): READERS and DATASETS are what comes with the package, `dataset_names` and `get_reader` know both.
"""

from __future__ import annotations

from collections.abc import Mapping

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.own.reader import own_reader
from finer_tasks.datasets.places import is_own, own_folder, own_names, tasks_dir
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


def dataset_names() -> tuple[str, ...]:
    """All datasets by name, the user's own last; reads no file of theirs."""
    return DATASETS + tuple(name for name in own_names() if name not in READERS)


def get_reader(name: str) -> Reader:
    """The reader of a dataset; raises DatasetLayoutError with the known names, and what is wrong with one of the user's own."""
    if name in READERS:
        if is_own(name):
            raise DatasetLayoutError(
                f"{own_folder(name)} has the name of a dataset that comes with this version. Rename the folder, give `name` in "
                "its dataset.yaml the same name, and run `finer dataset update` with it"
            )
        return READERS[name]
    if is_own(name):
        return own_reader(name)
    raise DatasetLayoutError(f"unknown dataset {name!r}; known are {', '.join(dataset_names())}")


def known_dataset(name: str) -> str:
    """The name, for those who check a file with pydantic; raises ValueError where there is no such dataset."""
    if name not in dataset_names():
        raise ValueError(
            f"{name!r:.80} is no dataset that is known here; known are {', '.join(dataset_names())}. "
            f"If it is somebody's own, put its folder into {tasks_dir()} (FINER_TASKS_DIR)"
        )
    return name
