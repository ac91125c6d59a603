"""Figures as papers state them, shown beside the boards and never ranked among verified ones."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer_tasks.errors import ResultsError
from finer_tasks.leaderboard.standings import board_tasks
from finer_tasks.parsing import explain, read_yaml
from finer_tasks.submission.scoring import submitted_tasks


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Published:
    """A row: who states it and where, and em by board name (a task, or `dataset: cub`, `level: fine`, `overall`), 0 to 1."""

    name: str
    source: str
    scores: dict[str, float]
    note: str = ""


def read_published(path: Path) -> list[Published]:
    """The rows of a YAML list; raises ResultsError naming the field."""
    try:
        rows = TypeAdapter(list[Published]).validate_python(read_yaml(path, ResultsError)[1])
    except ValidationError as error:
        raise ResultsError(f"{path}: {explain(error)}") from error
    known = board_tasks(submitted_tasks())
    for row in rows:
        for board, value in row.scores.items():
            if board not in known:
                raise ResultsError(
                    f"{path}: {row.name}: {board!r} is no board; give a task of `finer tasks`, or one of "
                    f"{', '.join(name for name in known if not name.startswith('finer_'))}"
                )
            if not 0 <= value <= 1:
                raise ResultsError(f"{path}: {row.name}, {board}: {value} is not between 0 and 1; give em as a share")
    return rows
