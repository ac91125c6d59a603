"""`finer import`: a result file of another kit → a run in lmms-eval's own form, scored by this package's rules.

How the answers came about is not known, and the run says so: its prompts are those of the task only where the file has the
same questions, its decoding is not stated, and submissions refuse it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
    if output.exists():
        raise OutputError(f"{output} is there already, and an imported run goes into a folder of its own. Give another name")
    source = next(iter(matched.rows.values())).path
    identity = _identity(asked, matched, kit, source)
    samples = tuple(_sample(asked, matched, number) for number in sorted(matched.rows))
    task = TaskRun(asked.task.name, identity, {}, samples, len(matched.documents))
    (task,) = rescore(Run(source, model, (task,))).tasks
    with replacing(output) as fresh:
        fresh.mkdir()
        results = fresh / f"{datetime.fromtimestamp(source.stat().st_mtime):%Y%m%d_%H%M%S}{ENDING}"
        _write(results, asked, task, identity, f"{kit}:{source.name}", model)
    return task


def _identity(asked: Asked, matched: Matched, kit: str, source: Path) -> dict[str, Any]:
    identity = {key: value for key, value in asked.identity.items() if key not in _OF_THIS_PROCESS}
    alike = all(_asks_the_same(asked, row, matched.documents[number]) for number, row in matched.rows.items())
    if not alike:
        identity |= {"prompt_set": NOT_STATED, "prompt_hash": NOT_STATED}
    content = hashlib.sha256(source.read_bytes()).hexdigest()
    told = {"from": kit, "file": source.name, "sha256": content, "matched_by": matched.by, "settings": NOT_STATED}
    return identity | {"imported": told}


def _asks_the_same(asked: Asked, row: Row, document: Mapping[str, Any]) -> bool:
    return (row.values.get("question") or "").split() == asked.question(document).split()


def _sample(asked: Asked, matched: Matched, number: int) -> Sample:
    row, document = matched.rows[number], matched.documents[number]
    reply = row.values.get("prediction") or ""
    record = {key: document[key] for key in RECORD_FIELDS}
    output = NO_CONTENT if reply.strip().startswith(_FAILED) else reply
    return Sample(record, "", {}, (output,), row.values.get("question") or "", number)


def _write(results: Path, asked: Asked, task: TaskRun, identity: Mapping[str, Any], origin: str, model: str) -> None:
    items = {name: [sample.items[name] for sample in task.samples] for name in task.samples[0].items}
    metrics = [
        {"metric": metric.name, "aggregation": metric.aggregation, "higher_is_better": metric.higher_is_better}
        for metric in asked.metrics
    ]
    config: dict[str, Any] = {
        "task": task.name,
        "metric_list": metrics,
        "filter_list": [{"name": "none"}],
        "generation_kwargs": {},
        "metadata": {"version": asked.task.version, "finer": dict(identity)},
    }
    found, _ = figures(config, items)
    document = {
        "results": {task.name: found},
        "group_subtasks": {task.name: []},
        "configs": {task.name: config},
        "versions": {task.name: asked.task.version},
        "higher_is_better": {task.name: {metric.name: metric.higher_is_better for metric in asked.metrics}},
        "n-samples": {task.name: {"original": task.of, "effective": len(task.samples)}},
        "config": {"model": model, "model_args": origin, "limit": None},
        "date": results.name.removesuffix(ENDING),
    }
    results.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    with samples_file(results, task.name).open("w", encoding="utf-8", errors="replace") as file:
        for sample in task.samples:
            line = {"doc_id": sample.number, "filtered_resps": sample.outputs[-1], "input": sample.question, **sample.items}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
