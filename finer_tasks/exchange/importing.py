"""`finer import`: a result file of another kit → a run in lmms-eval's own form, scored by this package's rules.

How the answers came about is not known, and the run says so: its prompts are those of the task only where the file has the
same questions, its decoding is not stated, and submissions refuse it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from finer_tasks.errors import OutputError
from finer_tasks.exchange.asking import Asked
from finer_tasks.exchange.matching import Matched
from finer_tasks.exchange.rows import Row
from finer_tasks.replies import NO_CONTENT
from finer_tasks.runs.figures import figures
from finer_tasks.runs.reading import ENDING, Run, TaskRun, samples_file
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.samples import RECORD_FIELDS, Sample
from finer_tasks.tasks.table import Metric, tasks_by_name
from finer_tasks.writing import replacing

NOT_STATED = "not stated"
# With what VLMEvalKit marks requests without an answer (vlmeval/smp/file.py).
_FAILED = "Failed to obtain answer"
# What bound data and prompts tell of the process that reads the file, and not of the run.
_OF_THIS_PROCESS = ("versions", "machine")


def import_run(asked: Asked, matched: Matched, kit: str, model: str, output: Path) -> TaskRun:
    """Write the run into a folder that does not exist yet, and return its task.

    Raises OutputError where the folder exists or cannot be written.
    """
    source = next(iter(matched.rows.values())).path
    # Kits add options in a form of their own.
    alike = not asked.offers_options and all(
        _asks_the_same(asked, row, matched.documents[number]) for number, row in matched.rows.items()
    )
    identity = imported_identity(asked, Origin(kit, source, matched.by, model), alike)
    samples = tuple(_sample(matched, number) for number in sorted(matched.rows))
    task = TaskRun(asked.task.name, identity, {}, samples, len(matched.documents))
    (task,) = rescore(Run(source, model, (task,))).tasks
    write_imported(replace(task, identity=identity), asked.metrics, Origin(kit, source, matched.by, model), output)
    return task


@dataclass(frozen=True)
class Origin:
    """The kit and file that a run comes from, how its rows were matched, and what its model is called."""

    kit: str
    file: Path
    matched_by: str
    model: str


def imported_identity(asked: Asked, origin: Origin, same_questions: bool) -> dict[str, Any]:
    """What identifies an imported run: the task and its data, and that the rest is not stated."""
    identity = {key: value for key, value in asked.identity.items() if key not in _OF_THIS_PROCESS}
    if not same_questions:
        identity |= {"prompt_set": NOT_STATED, "prompt_hash": NOT_STATED}
    content = hashlib.sha256(origin.file.read_bytes()).hexdigest()
    told = {"from": origin.kit, "file": origin.file.name, "sha256": content, "matched_by": origin.matched_by}
    return identity | {"imported": told | {"settings": NOT_STATED}}


def write_imported(task: TaskRun, metrics: Sequence[Metric], origin: Origin, output: Path) -> None:
    """Write a scored task as a run into a folder that does not exist yet; raises OutputError."""
    if output.exists():
        raise OutputError(f"{output} is there already, and an imported run goes into a folder of its own. Give another name")
    with replacing(output) as fresh:
        fresh.mkdir()
        results = fresh / f"{datetime.fromtimestamp(origin.file.stat().st_mtime):%Y%m%d_%H%M%S}{ENDING}"
        _write(results, task, metrics, origin)


def _asks_the_same(asked: Asked, row: Row, document: Mapping[str, Any]) -> bool:
    return (row.values.get("question") or "").split() == asked.question(document).split()


def _sample(matched: Matched, number: int) -> Sample:
    row, document = matched.rows[number], matched.documents[number]
    reply = row.values.get("prediction") or ""
    record = {key: document[key] for key in RECORD_FIELDS}
    output = NO_CONTENT if reply.strip().startswith(_FAILED) else reply
    return Sample(record, "", {}, (output,), row.values.get("question") or "", number)


def _write(results: Path, task: TaskRun, metrics: Sequence[Metric], origin: Origin) -> None:
    items = {name: [sample.items[name] for sample in task.samples] for name in task.samples[0].items}
    version = tasks_by_name()[task.name].version
    config: dict[str, Any] = {
        "task": task.name,
        "metric_list": [
            {"metric": metric.name, "aggregation": metric.aggregation, "higher_is_better": metric.higher_is_better}
            for metric in metrics
        ],
        "filter_list": [{"name": "none"}],
        "generation_kwargs": {},
        "metadata": {"version": version, "finer": dict(task.identity)},
    }
    found, _ = figures(config, items)
    document = {
        "results": {task.name: found},
        "group_subtasks": {task.name: []},
        "configs": {task.name: config},
        "versions": {task.name: version},
        "higher_is_better": {task.name: {metric.name: metric.higher_is_better for metric in metrics}},
        "n-samples": {task.name: {"original": task.of, "effective": len(task.samples)}},
        "config": {"model": origin.model, "model_args": f"{origin.kit}:{origin.file.name}", "limit": None},
        "date": results.name.removesuffix(ENDING),
    }
    results.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    with samples_file(results, task.name).open("w", encoding="utf-8", errors="replace") as file:
        for sample in task.samples:
            line = {"doc_id": sample.number, "filtered_resps": sample.outputs[-1], "input": sample.question, **sample.items}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
