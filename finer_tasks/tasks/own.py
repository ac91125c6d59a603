"""The tasks of datasets of the user's own: made with them, made anew by this version, and kept from harming other tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from finer_tasks.datasets.own.description import Counted, count, read_description, recount
from finer_tasks.datasets.own.images import read_images
from finer_tasks.datasets.own.making import Made, Request, make
from finer_tasks.datasets.places import DESCRIPTION, IMAGES, NAME, TASKS, VARIABLE, own_folder, own_names, tasks_dir
from finer_tasks.datasets.registry import DATASETS
from finer_tasks.errors import DatasetLayoutError, FinerError, OutputError, in_one_line
from finer_tasks.tasks.generate import differences, own_files, write
from finer_tasks.tasks.table import list_groups, list_tasks
from finer_tasks.writing import locked, replacing


class OwnTasksError(FinerError):
    """The tasks of a dataset of the user's own cannot be used."""


def check_name(name: str) -> None:
    """Raise DatasetLayoutError for a name that a dataset of the user's own cannot have."""
    if not NAME.fullmatch(name):
        raise DatasetLayoutError(
            f"{name!r:.80} cannot be the name of a dataset: tasks are called finer_NAME_LEVEL, so that it starts with a "
            "letter and has lower-case letters and digits only, 40 at most"
        )
    if name in DATASETS:
        raise DatasetLayoutError(f"{name} is a dataset that comes with this package. Give another name")
    own = {f"finer_{known}" for known in own_names()} | {task.name for task in list_tasks() if task.dataset not in DATASETS}
    taken = ({task.name for task in list_tasks()} | set(list_groups())) - own
    if like := sorted(other for other in taken if f"{other}_".startswith(f"finer_{name}_")):
        raise DatasetLayoutError(f"{name} cannot be the name of a dataset: {like[0]} means something else. Give another name")


def create(request: Request) -> Made:
    """Make a dataset of the user's own with its tasks in FINER_TASKS_DIR; raises FinerError, and then leaves nothing there."""
    check_name(request.name)
    folder = own_folder(request.name)
    with locked(folder):
        if folder.exists():
            raise OutputError(
                f"{folder} is there already. Edit its files, and run `finer dataset update {request.name}` after a change of "
                f"{IMAGES}; or remove it first"
            )
        with replacing(folder) as fresh:
            fresh.mkdir()
            made = make(request, fresh)
            write(fresh / TASKS, own_files(request.name))
    return made


@dataclass(frozen=True)
class Updated:
    """What was done to a dataset.

    Attributes:
        before: what its description said of its list.
        counted: what the list holds.
        written: how many files of its tasks were written.
        foreign: files among its tasks that are none.
    """

    before: Counted
    counted: Counted
    written: int
    foreign: tuple[str, ...]


def update(name: str) -> Updated:
    """Count the list of a dataset anew and write its tasks as this version has them; raises FinerError."""
    check_name(name)
    folder = own_folder(name)
    if not (folder / DESCRIPTION).is_file():
        known = ", ".join(own_names()) or "none"
        raise DatasetLayoutError(
            f"{folder} has no {DESCRIPTION}. The datasets in {tasks_dir()} ({VARIABLE}) are: {known}. "
            f"Make one with `finer dataset init {name}`"
        )
    before = read_description(folder).counted
    counted = count(name, read_images(folder / IMAGES))
    if counted != before:
        recount(folder, counted)
    wanted = own_files(name)
    written = write(folder / TASKS, wanted)
    return Updated(before, counted, written, tuple(differences(folder / TASKS, wanted)))


def own_task_folders() -> list[str]:
    """The folders of tasks that lmms-eval can read; where one cannot be read, it would list no task at all."""
    folders = ((name, own_folder(name) / TASKS) for name in own_names() if name not in DATASETS)
    return [str(folder) for name, folder in folders if not _damage(name, folder)]


def check_own_tasks(asked: Iterable[str]) -> None:
    """Raise OwnTasksError where a task that is asked for lies among damaged ones, and say where they are of another version."""
    patterns = [pattern for pattern in asked if isinstance(pattern, str)]
    for name in own_names():
        if name in DATASETS or not any(f"{pattern}_".startswith(f"finer_{name}_") for pattern in patterns):
            continue
        if damage := _damage(name, own_folder(name) / TASKS):
            raise OwnTasksError(f"the tasks of {name} cannot be read: {damage}. Run: finer dataset update {name}")
        if told := of_another_version(name):
            logger.warning(told)


def of_another_version(name: str) -> str:
    """That the tasks of a dataset of the user's own are not those of this version, in a sentence; nothing where they are."""
    folder = own_folder(name) / TASKS
    if name in DATASETS or not (found := differences(folder, own_files(name))):
        return ""
    return f"the tasks of {name} in {folder} are not those of this version ({found[0]}). Run: finer dataset update {name}"


def _damage(name: str, folder: Path) -> str:
    """Why lmms-eval could not read the tasks in a folder; those that are as this version writes them are not looked at."""
    if not folder.is_dir():
        return f"{folder} is not there"
    if not differences(folder, own_files(name)):
        return ""
    from lmms_eval.utils import load_yaml_config

    for path in sorted(folder.rglob("*.yaml")):
        try:
            found = load_yaml_config(str(path), mode="simple")  # imports no one's functions
        except Exception as error:  # lmms-eval asks nothing of a file before it uses it
            return f"{path}: {in_one_line(error)}"
        if not isinstance(found, dict) or not isinstance(found.get("task"), str | list):
            return f"{path} is no task"
    return ""
