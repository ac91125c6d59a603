"""Scores by document of any task that lmms-eval has run, ours or not.

A metric counts where each document has a number for it, or an object with a number as "score", as lmms-eval's tasks log
them for their own averages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.errors import ResultsError, at_line, in_one_line
from finer_tasks.parsing import parse_json
from finer_tasks.statistics.clusters import Floats
from finer_tasks.tasks.recording import OF_MODEL
from finer_tasks.text import harmless

_ENDING = "_results.json"
_LONGEST_ANSWER = 200


@dataclass(frozen=True)
class Scores:
    """One measure of one state by document.

    identity: what lmms-eval tells of the task beside its documents, such as what identifies data and prompts of ours.
    contents: what was asked, as a hash: documents are the same where it is. clusters: the concept where the task tells
    it, else the media, else the document itself. answers: in short.
    """

    task: str
    metric: str
    higher_is_better: bool
    identity: str
    ids: tuple[str, ...]
    contents: tuple[str, ...]
    clusters: tuple[str, ...]
    answers: tuple[str, ...]
    values: Floats


def read_scores(folder: Path, metrics: Mapping[str, str]) -> tuple[dict[str, Scores], dict[str, list[str]]]:
    """Of every task below a folder of lmms-eval, and the tasks of each group; raises ResultsError.

    `metrics` names the metric of a task; else the first of its own that has a score for each document is taken.
    """
    files = sorted(folder.rglob(f"*{_ENDING}"))
    if len(files) != 1:
        raise ResultsError(f"{folder} holds {len(files)} results of lmms-eval instead of one. Delete it and run again")
    try:
        raw = parse_json(files[0].read_bytes(), allow_nan=True)
        configs, groups = raw["configs"], raw.get("group_subtasks") or {}
        better = raw.get("higher_is_better") or {}
        listed = {name: [item["metric"] for item in config.get("metric_list") or ()] for name, config in configs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{files[0]} is no result file of lmms-eval ({in_one_line(error)}). Delete it and run again"
        ) from error
    found = {}
    for name in configs:
        path = files[0].with_name(f"{files[0].name.removesuffix(_ENDING)}_samples_{name}.jsonl")
        rows = _rows(path)
        metric = _metric(name, rows, listed[name], metrics.get(name))
        higher = bool((better.get(name) or {}).get(metric, True))
        identity = json.dumps(_of_task(configs[name].get("metadata")), sort_keys=True, default=str)
        found[name] = _scores(name, metric, higher, identity, [row for row in rows if _number(row.get(metric)) is not None])
    return found, groups


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                row = json.loads(line)
                if not isinstance(row, dict) or "doc_id" not in row:
                    raise ValueError(at_line(path, number, "no sample of lmms-eval"))
                rows.append(row)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({in_one_line(error)}). Delete its folder and run again") from error
    if not rows:
        raise ResultsError(f"{path} holds no document. Delete its folder and run again")
    return rows


def _number(value: Any) -> float | None:
    """The score of a document, None where it is none."""
    if isinstance(value, Mapping):
        value = value.get("score")
    if isinstance(value, (bool, int, float)) and value == value and abs(value) != float("inf"):
        return float(value)
    return None


def _metric(task: str, rows: Sequence[Mapping[str, Any]], listed: Sequence[str], wanted: str | None) -> str:
    usable = [name for name in listed if any(_number(row.get(name)) is not None for row in rows)]
    shown = harmless(", ".join(usable) or "none")
    if wanted is not None:
        if wanted in usable:
            return wanted
        raise ResultsError(f"--metric {task}={wanted}: no document of {task} has a number for it; those with one: {shown}")
    if not usable:
        raise ResultsError(
            f"{task} logs no score by document ({', '.join(listed) or 'it has no metric'}), so that states cannot be compared "
            "on it. Leave it out"
        )
    return usable[0]


def _of_task(metadata: Any) -> Any:
    """What a task's metadata say of the task, and not of the model that was asked."""
    finer = metadata.get("finer") if isinstance(metadata, dict) else None
    if not isinstance(finer, dict):
        return metadata
    return metadata | {"finer": {key: value for key, value in finer.items() if key not in OF_MODEL}}


def _scores(task: str, metric: str, higher: bool, identity: str, rows: Sequence[Mapping[str, Any]]) -> Scores:
    ids = tuple(str(row["doc_id"]) for row in rows)
    if len(set(ids)) != len(ids):
        raise ResultsError(f"{task}: its samples name a document twice. Delete its folder and run again")
    return Scores(
        task=task,
        metric=metric,
        higher_is_better=higher,
        identity=identity,
        ids=ids,
        contents=tuple(_content(row) for row in rows),
        clusters=tuple(_cluster(row, metric) for row in rows),
        answers=tuple(_answer(row.get("filtered_resps")) for row in rows),
        values=np.array([_number(row[metric]) for row in rows], dtype=np.float64),
    )


def _content(row: Mapping[str, Any]) -> str:
    """lmms-eval's own hash of a document changes from run to run where the document holds an image."""
    asked = [row.get("target"), row.get("input"), row.get("input_media")]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _cluster(row: Mapping[str, Any], metric: str) -> str:
    value = row[metric]
    if isinstance(value, Mapping) and "concept_id" in value:
        return str(value["concept_id"])
    media = row.get("input_media")
    return json.dumps(media, sort_keys=True, default=str) if media else f"document {row['doc_id']}"


def _answer(logged: Any) -> str:
    text = logged[0] if isinstance(logged, list) and logged else logged
    return str(text)[:_LONGEST_ANSWER]
