"""Where the datasets of a user's own lie: a folder each below FINER_TASKS_DIR, which need not be there.

    FINER_TASKS_DIR/<name>/dataset.yaml     what the dataset is (datasets/own/)
    FINER_TASKS_DIR/<name>/taxonomy.yaml    its classes and their labels
    FINER_TASKS_DIR/<name>/images.csv       its images with class and split
    FINER_TASKS_DIR/<name>/tasks/           its tasks, generated

Nothing is read here but names, so that a damaged dataset is told where it is asked for and harms no other.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

VARIABLE = "FINER_TASKS_DIR"
DESCRIPTION, TAXONOMY, IMAGES, TASKS = "dataset.yaml", "taxonomy.yaml", "images.csv", "tasks"
# What can stand in finer_<name>_<level> without making it ambiguous.
NAME = re.compile(r"[a-z][a-z0-9]{0,39}")


def tasks_dir() -> Path:
    """FINER_TASKS_DIR, by default ~/.local/share/finer/tasks."""
    return Path(os.environ.get(VARIABLE) or "~/.local/share/finer/tasks").expanduser().absolute()


def own_folder(name: str) -> Path:
    """Where a dataset of the user's own lies, whether or not it is there."""
    return tasks_dir() / name


def is_own(name: str) -> bool:
    """Whether the user has a dataset of that name."""
    return bool(NAME.fullmatch(name)) and (own_folder(name) / DESCRIPTION).is_file()


def own_names() -> tuple[str, ...]:
    """The user's datasets in the order of their names; none where FINER_TASKS_DIR is absent or cannot be read."""
    try:
        return tuple(sorted(name for name in os.listdir(tasks_dir()) if is_own(name)))
    except OSError:
        return ()


def stamp(path: Path) -> tuple[Path, int, int]:
    """What changes when a file does, to know by it what was read from it; of one that is absent, zeros."""
    try:
        found = path.stat()
    except OSError:
        return path, 0, 0
    return path, found.st_mtime_ns, found.st_size
