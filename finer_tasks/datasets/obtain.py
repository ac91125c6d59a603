"""Where a dataset as published lies: where the user says, fetched first, or rendered."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.datasets.download import fetch_dataset
from finer_tasks.datasets.prepare import rendered
from finer_tasks.datasets.prepared import data_dir
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DatasetLayoutError


def obtain(dataset: str, root: Path | None, splits: tuple[str, ...] | None, download: bool) -> tuple[Path, tuple[str, ...]]:
    """The folder of a dataset, and the splits that are wanted of it: those given, else all that can be had this way.

    Raises DatasetLayoutError where no folder is given for a dataset that has none of its own, or one for a dataset that is
    drawn or is to be fetched, or a split cannot be fetched.
    """
    reader = get_reader(dataset)
    if root is not None and (reader.built_in or download):
        where = "its pictures are drawn" if reader.built_in else "--download has a folder of its own"
        raise DatasetLayoutError(f"{dataset} takes no --root here: {where}. Leave it out")
    if not download:
        found = root or (reader.own.images if reader.own else rendered(dataset))
        return found, splits or reader.splits
    fetched = reader.origin.splits
    wanted = splits or fetched
    if missing := set(wanted) - set(fetched):
        raise DatasetLayoutError(
            f"{dataset}: --download fetches {' and '.join(fetched)} only; get the {min(missing)} split by hand and give --root"
        )
    return fetch_dataset(dataset, reader.origin, data_dir() / "downloads" / dataset), wanted
