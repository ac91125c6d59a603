"""Reading a run that lmms-eval wrote with `--output_path OUT --log_samples`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.answers import extract_answer
from finer_tasks.errors import ResultsError, at_line


@dataclass(frozen=True)
class Sample:
    """One document of a task: its record, the answer scored, and the items of each metric."""

    record: Mapping[str, Any]
    answer: str
    items: Mapping[str, Mapping[str, Any]]

    @property
    def reason(self) -> str:
        """What the strict scorer made of the answer; empty for attribute lists."""
        return str(self.items.get("em_strict", {}).get("reason", ""))


@dataclass(frozen=True)
class TaskRun:
    """One task of a run: what identifies it, and its samples. Attribute tasks are scored by list, not by name."""

    name: str
    identity: Mapping[str, Any]
    generation: Mapping[str, Any]
    samples: tuple[Sample, ...]

    @property
    def names_concepts(self) -> bool:
        return bool(self.samples) and "em" in self.samples[0].items


@dataclass(frozen=True)
class Run:
    """All FINER tasks of one lmms-eval run."""

    path: Path
    model: str
    tasks: tuple[TaskRun, ...]


def read_run(path: Path) -> Run:
    """The newest run below a folder, or the one whose *_results.json is given; raises ResultsError."""
    results = _results_file(path)
    try:
        raw = json.loads(results.read_text(encoding="utf-8"))
        configs = raw["configs"]
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(f"{results} is no result file of lmms-eval ({error})") from error
    names = [
        name for name, config in configs.items() if isinstance(config.get("metadata"), dict) and "finer" in config["metadata"]
    ]
    if not names:
        raise ResultsError(f"{results} holds no FINER task; its tasks are {', '.join(configs) or 'none'}")
    model = f"{raw.get('config', {}).get('model', '?')} ({raw.get('config', {}).get('model_args', '')})"
    return Run(results, model, tuple(_task(results, name, configs[name]) for name in names))


def _results_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.rglob("*_results.json"), key=lambda file: (file.stat().st_mtime, file.name))
    if not found:
        raise ResultsError(f"{path}: no *_results.json below it. Run lmms-eval with --output_path {path} --log_samples")
    return found[-1]


def _task(results: Path, name: str, config: Mapping[str, Any]) -> TaskRun:
    path = results.with_name(results.name.replace("_results.json", f"_samples_{name}.jsonl"))
    if not path.exists():
        raise ResultsError(f"{path} is missing. Run lmms-eval with --log_samples, so that answers can be looked at one by one")
    return TaskRun(name, config["metadata"]["finer"], config.get("generation_kwargs") or {}, tuple(_samples(path)))


def _samples(path: Path) -> Iterator[Sample]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                raw = json.loads(line)
                detail = raw["em_strict"] if "em_strict" in raw else raw["attr_f1"]
                items = {name: value for name, value in raw.items() if isinstance(value, dict) and "concept_id" in value}
                output = detail["rounds"][-1] if "rounds" in detail else _output(raw["filtered_resps"])
                yield Sample(detail["record"], extract_answer(output), items)
            except (ValueError, KeyError, TypeError) as error:
                raise ResultsError(at_line(path, number, f"not a sample of a FINER task ({error})")) from error


def _output(value: Any) -> str:
    while isinstance(value, list) and value:
        value = value[-1]
    return value if isinstance(value, str) else ""
