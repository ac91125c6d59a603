"""`finer results --merge`: the shards of a run → one run in lmms-eval's own form, its figures computed from all documents."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import finer_tasks
from finer_tasks.errors import OutputError, ResultsError
from finer_tasks.parsing import parse_json
from finer_tasks.runs.comparing import Side
from finer_tasks.runs.figures import figures
from finer_tasks.runs.reading import ENDING, read_run, require_alike, samples_file
from finer_tasks.runs.shards import Whole, spans, whole_tasks
from finer_tasks.writing import replacing

# What the result files of all shards have in common and a merged one keeps, from the first of them.
_KEPT = (
    "git_hash", "git_branch", "lmms_eval_version", "model_source", "model_name", "model_name_sanitized", "system_instruction",
    "system_instruction_sha", "fewshot_as_multiturn", "chat_template", "chat_template_sha",
)  # fmt: skip
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def shard_files(paths: Sequence[Path]) -> list[Path]:
    """The result files themselves, and all below folders, each once; raises ResultsError where there is none."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = [path] if path.is_file() else sorted(path.rglob(f"*{ENDING}"))
        if not inside:
            raise ResultsError(f"{path}: no *{ENDING} below it. Has this shard run to its end, with --log_samples?")
        found |= {file.resolve(): file for file in inside if file.resolve() not in found}
    return list(found.values())


def merge(paths: Sequence[Path], output: Path, allow: Collection[str] = ()) -> list[str]:
    """Write the shards below some folders as one run into a new folder; returns what a reader should know of it.

    Raises ResultsError where they are not one run, all of it, and each document once; OutputError where the folder exists.
    """
    if output.exists():
        raise OutputError(f"{output} is there already, and a merged run goes into a folder of its own. Give another name")
    runs = [read_run(file) for file in shard_files(paths)]
    require_alike("models", (run.model for run in runs), "merge the shards of one model")
    tasks = whole_tasks([(run, task) for run in runs for task in run.tasks], allow)
    raws = {run.path: parse_json(run.path.read_bytes(), allow_nan=True) for run in runs}
    first = raws[runs[0].path]
    date = max(_date(path, raw) for path, raw in raws.items())
    inner = str(first.get("model_name_sanitized") or "")
    with replacing(output) as fresh:
        results = fresh.joinpath(inner if _FOLDER.fullmatch(inner) else "", f"{date}{ENDING}")
        results.parent.mkdir(parents=True)
        document, notes = _document(tasks, raws, first, date)
        for whole in tasks:
            hashes = _write_samples(whole, samples_file(results, whole.name))
            document["task_hashes"][whole.name] = hashlib.sha256("".join(hashes).encode()).hexdigest()
        results.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
        read_run(results)  # what others will read is read once before it takes its name
    return notes


def _date(path: Path, raw: Mapping[str, Any]) -> str:
    """When a shard was started, as lmms-eval's names of files have it."""
    date = raw.get("date")
    return date if isinstance(date, str) and _FOLDER.fullmatch(date) else path.name.removesuffix(ENDING)


def _document(
    tasks: Sequence[Whole], raws: Mapping[Path, Mapping[str, Any]], first: Mapping[str, Any], date: str
) -> tuple[dict[str, Any], list[str]]:
    """The result file, and notes."""
    notes: list[str] = []
    document: dict[str, Any] = {name: {} for name in (
        "results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes"
    )}  # fmt: skip
    document["config"] = {**first["config"], "limit": None, "offset": 0}
    document["config"].pop("resolved_cli_args", None)  # no command was called with these
    document |= {key: first[key] for key in _KEPT if key in first} | {"date": date}
    for whole in tasks:
        run, task = whole.sides[0]
        raw = raws[run.path]
        config = raw["configs"][whole.name]
        items = _items(whole)
        document["results"][whole.name], unknown = figures(config, items)
        if unknown:
            notes.append(f"{whole.name}: {', '.join(unknown)} are left out of the figures, which functions of your own compute")
        if not whole.compared:
            notes.append(
                f"{whole.name}: the ids were not compared with the prepared data, which are not here; that no document is "
                "missing or there twice is known by the numbers that lmms-eval gave them"
            )
        notes += [f"{whole.name}: {name} differs between the shards" for name in whole.differing]
        document["group_subtasks"][whole.name] = []
        document["configs"][whole.name] = _config(config, whole)
        document["higher_is_better"][whole.name] = raw.get("higher_is_better", {}).get(whole.name, {})
        document["n-samples"][whole.name] = {"original": task.of, "effective": task.of}
        for key in ("versions", "n-shot"):
            document[key][whole.name] = raw.get(key, {}).get(whole.name)
    document["merged"] = {"by": f"finer-tasks {finer_tasks.__version__}", "shards": _shards(tasks, raws)}
    return document, notes


def _config(config: Mapping[str, Any], whole: Whole) -> dict[str, Any]:
    """The task's config, whose metadata say of what the run was merged."""
    told: dict[str, Any] = {"shards": len(whole.sides), "compared_with_data": whole.compared}
    if whole.differing:
        told["differing"] = {name: list(values) for name, values in whole.differing.items()}
    finer = {**config["metadata"]["finer"], "merged": told}
    return {**config, "metadata": {**config["metadata"], "finer": finer}}


def _items(whole: Whole) -> dict[str, list[Mapping[str, Any]]]:
    """The items of each metric, documents in their order."""
    samples = sorted((sample for _, task in whole.sides for sample in task.samples), key=lambda sample: sample.number or 0)
    return {name: [sample.items[name] for sample in samples if name in sample.items] for name in samples[0].items}


def _shards(tasks: Sequence[Whole], raws: Mapping[Path, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each shard was: its files with their SHA-256, its documents, and how it was run."""
    found = []
    for path, raw in raws.items():
        parts = {whole.name: side for whole in tasks for side in whole.sides if side[0].path == path}
        files = [path, *(samples_file(path, name) for name in parts)]
        found.append(
            {
                "results": str(path),
                "date": raw.get("date"),
                "limit": raw["config"].get("limit"),
                "offset": raw["config"].get("offset"),
                "seconds": raw.get("total_evaluation_time_seconds"),
                "documents": {name: spans([s.number or 0 for s in task.samples]) for name, (_, task) in parts.items()},
                "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            }
        )
    return found


def _write_samples(whole: Whole, path: Path) -> list[str]:
    """Write the lines of all shards as they are, in the order of the documents; returns lmms-eval's names of their hashes."""
    lines = sorted(pair for side in whole.sides for pair in _lines(side))
    with path.open("wb") as file:
        file.writelines(line for _, line in lines)
    return [f"sample_{number}{json.loads(line).get('doc_hash', '')}" for number, line in lines]


def _lines(side: Side) -> Iterator[tuple[int, bytes]]:
    run, task = side
    with samples_file(run.path, task.name).open("rb") as file:
        for sample, line in zip(task.samples, file, strict=True):
            yield sample.number or 0, line.rstrip(b"\r\n") + b"\n"
