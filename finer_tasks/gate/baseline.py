"""Baseline files: a run's scores, compact enough to keep in git.

Gzipped JSON with a schema version; columns rather than rows, so that it packs well. A file of an
older schema is read through the steps in `_UPGRADES`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finer_tasks.errors import ResultsError
from finer_tasks.gate.measured import Document, Measured, MeasuredTask
from finer_tasks.replies import read_reply
from finer_tasks.runs.samples import is_possible
from finer_tasks.writing import write_bytes

KIND, SCHEMA = "finer-baseline", 3
_COLUMNS = ("content", "concept", "coarse", "fine", "answer")
_MAGIC = b"\x1f\x8b"
_DAMAGE = (
    OSError, EOFError, zlib.error, ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError
)  # fmt: skip


def is_baseline(path: Path) -> bool:
    """Whether a file is gzipped; runs are folders or JSON."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == _MAGIC


def write_baseline(found: Measured, path: Path) -> None:
    """Write under a temporary name, then rename. The same run gives the same bytes."""
    tasks = {name: _columns(task) for name, task in sorted(found.tasks.items())}
    raw = {"kind": KIND, "schema": SCHEMA, "model": found.model, "settings": dict(found.settings), "tasks": tasks}
    packed = gzip.compress(json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)
    write_bytes(path, packed)


def read_baseline(path: Path) -> Measured:
    """The baseline in a file; raises ResultsError if it is damaged or from a newer version."""
    try:
        raw = json.loads(gzip.decompress(path.read_bytes()))
        if raw.get("kind") != KIND:
            raise ResultsError(f"{path} is no baseline of finer-tasks. Make one with `finer baseline make RUN --output FILE`")
        if raw["schema"] > SCHEMA:
            raise ResultsError(f"{path} has schema {raw['schema']}, this version reads up to {SCHEMA}. Update finer-tasks")
        for schema in range(raw["schema"], SCHEMA):
            raw = _UPGRADES[schema](raw)
        tasks = {name: _task(name, columns) for name, columns in raw["tasks"].items()}
        return Measured(str(path), str(raw["model"]), _mapping(raw["settings"]), tasks)
    except _DAMAGE as error:
        raise ResultsError(f"{path} is damaged ({error!r}). Restore it, or make it again with `finer baseline make`") from error


def _columns(task: MeasuredTask) -> dict[str, Any]:
    documents = list(task.documents.values())
    return {
        "identity": dict(task.identity),
        "generation": dict(task.generation),
        "failed": task.failed,
        "ids": list(task.documents),
        **{column: [getattr(document, column) for document in documents] for column in _COLUMNS},
        "scores": {metric: [_short(document.scores[metric]) for document in documents] for metric in task.metrics},
    }


def _short(score: float) -> float | int:
    return int(score) if score == int(score) else score


def _task(name: str, columns: Mapping[str, Any]) -> MeasuredTask:
    documents = [
        Document(
            **{column: str(columns[column][index]) for column in _COLUMNS},
            scores={metric: _score(metric, values[index]) for metric, values in columns["scores"].items()},
        )
        for index in range(len(columns["ids"]))
    ]
    by_id = dict(zip(columns["ids"], documents, strict=True))
    if not by_id or len(by_id) != len(documents):
        raise ValueError(f"{name} has no documents, or one of them twice")
    identity, generation = _mapping(columns["identity"]), _mapping(columns["generation"])
    return MeasuredTask(name, identity, generation, by_id, int(columns["failed"]))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.40} is no object")
    return value


def _score(metric: str, value: Any) -> float:
    score = float(value)
    if not is_possible(metric, score):
        raise ValueError(f"the score {metric} is {score}")
    return score


def _to_2(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 had the names of image files as well, which are not read any more."""
    return raw | {"schema": 2}


def _to_3(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 took what a backend says of a failed request for an answer."""
    for columns in raw["tasks"].values():
        columns["failed"] = sum(read_reply(answer).state == "failed" for answer in columns["answer"])
    return raw | {"schema": 3}


_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2, 2: _to_3}
