"""Choosing among the tasks, and whether the data that they need are there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.registry import dataset_names, get_reader
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import FinerError
from finer_tasks.tasks.table import VARIANTS, TaskInfo, list_tasks


class UnknownNameError(FinerError):
    """A dataset, level or variant was named that there is none of."""


_USABLE = {"built in", "prepared", "partial"}


def data_state(dataset: str) -> str:
    """'prepared', 'partial', 'train only', 'built in', or 'not prepared'; 'damaged' of a dataset of the user's own."""
    try:
        if get_reader(dataset).built_in:
            return "built in"
        load_taxonomy(dataset)
    except FinerError:
        return "damaged"
    try:
        manifest = load_prepared(dataset).manifest
        return "train only" if "test" not in manifest.splits else "partial" if manifest.partial else "prepared"
    except FinerError:
        return "not prepared"


def data_states() -> Mapping[str, str]:
    """The state of every dataset."""
    return {name: data_state(name) for name in dataset_names()}


def chosen_tasks(
    datasets: Collection[str] = (), levels: Collection[str] = (), ways: Collection[str] = (), prepared: bool = False
) -> list[TaskInfo]:
    """The tasks of these datasets, levels and ways of asking, of all where none is named.

    `prepared`: only those whose data are there. Raises UnknownNameError.
    """
    for kind, wanted, known in (
        ("dataset", datasets, dataset_names()),
        ("level", levels, LEVELS),
        ("variant", ways, [variant.name for variant in VARIANTS]),
    ):
        if unknown := [name for name in wanted if name not in known]:
            raise UnknownNameError(f"unknown {kind} {unknown[0]!r}; known are {', '.join(known)}")
    usable = {name for name, state in data_states().items() if state in _USABLE} if prepared else set(dataset_names())
    return [
        task
        for task in list_tasks()
        if (not datasets or task.dataset in datasets)
        and (not levels or task.level in levels)
        and (not ways or task.way in ways)
        and task.dataset in usable
    ]
