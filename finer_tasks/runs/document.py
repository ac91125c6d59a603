"""A run's figures as one document, for programs: what `finer results --json` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from finer_tasks.runs.asked import abstain_rows, open_rows, yesno_rows
from finer_tasks.runs.closed import closed_rows, selective_rows
from finer_tasks.runs.multiple_choice import choice_rows
from finer_tasks.runs.paths import answer_rows, path_rows
from finer_tasks.runs.reading import Run
from finer_tasks.runs.summary import attribute_rows, consistencies, rows

# The tables of a run by the names that they have in the document; one without rows is an empty list.
_TABLES: Mapping[str, Callable[[Run], Sequence[Any]]] = {
    "rows": rows,
    "attribute_rows": attribute_rows,
    "closed_rows": closed_rows,
    "abstain_rows": abstain_rows,
    "open_rows": open_rows,
    "yesno_rows": yesno_rows,
    "choice_rows": choice_rows,
    "selective": selective_rows,
    "consistency": consistencies,
    "paths": path_rows,
    "answers": answer_rows,
}


def run_document(run: Run) -> dict[str, Any]:
    """What made each task of a run, and all tables of its figures."""
    tasks = {task.name: dict(task.identity) | {"generation": dict(task.generation)} for task in run.tasks}
    tables = {name: [asdict(row) for row in make(run)] for name, make in _TABLES.items()}
    return {"run": str(run.path), "model": run.model, "tasks": tasks} | tables
