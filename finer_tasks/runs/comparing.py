"""Whether tasks of several runs may be compared on the same documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import Run, TaskRun

Side = tuple[Run, TaskRun]
Conditions = Mapping[str, Callable[[Side], Any]]


def of_identity(*keys: str) -> Callable[[Side], Any]:
    """Reads fields of a task's identity."""
    return lambda side: tuple(side[1].identity.get(key) for key in keys)


def decoding(side: Side, without: Collection[str] = ()) -> dict[str, Any]:
    """How a task's answers were decoded, but for some settings."""
    return {key: value for key, value in side[1].generation.items() if key not in without}


def require_alike_but(side: Side, other: Side, conditions: Conditions, allow: Collection[str]) -> set[str]:
    """The conditions on which two tasks differ; raises ResultsError for one that is not allowed to."""
    found = {name for name, read in conditions.items() if read(side) != read(other)}
    for name in sorted(found - set(allow)):
        raise ResultsError(
            f"{side[1].name} and {other[1].name} cannot be compared: {name} differs: {conditions[name](side)!r} and "
            f"{conditions[name](other)!r}. Evaluate both alike, or compare all the same with --allow {name}"
        )
    return found


def require_same_documents(task: TaskRun, other: TaskRun) -> None:
    """Raise ResultsError where one of two tasks has documents that the other lacks."""
    wanted, found = ({sample.record["id"] for sample in one.samples} for one in (other, task))
    if found != wanted:
        example = sorted(found ^ wanted)[0]
        raise ResultsError(
            f"{task.name} and {other.name} cannot be compared: they have {len(found)} and {len(wanted)} documents, "
            f"{len(found ^ wanted)} of them in one only, for example {example}. Run both with the same --limit"
        )
