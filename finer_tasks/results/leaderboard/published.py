"""Figures as papers state them, shown beside the boards and never ranked among verified ones."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer_tasks.errors import ResultsError


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
        rows = TypeAdapter(list[Published]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ResultsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for row in rows:
        for board, value in row.scores.items():
            if not 0 <= value <= 1:
                raise ResultsError(f"{path}: {row.name}, {board}: {value} is not between 0 and 1; give em as a share")
    return rows
