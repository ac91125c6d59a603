"""Reading a run that lmms-eval wrote with `--output_path OUT --log_samples`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finer_tasks.answers import extract_answer
from finer_tasks.errors import ResultsError, at_line


@dataclass(frozen=True)
class Sample:
    """One document of a task: its record, the answer scored, and the items of each metric.

    `outputs` are the replies as logged, the last one scored; `question` and `media` what was asked and
    which files were shown, empty where lmms-eval did not log them.
    """

    record: Mapping[str, Any]
    answer: str
    items: Mapping[str, Mapping[str, Any]]
    outputs: tuple[str, ...] = ()
    question: str = ""
    media: tuple[str, ...] = ()

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
    settings: Mapping[str, Any] = field(default_factory=dict)


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
    config = raw.get("config", {})
    model = f"{config.get('model', '?')} ({config.get('model_args', '')})"
    settings = {key: config.get(key) for key in ("model", "model_args", "batch_size", "limit", "gen_kwargs", "random_seed")}
    # Installed from a wheel, lmms-eval states its own version as unknown; ours is in the tasks.
    version = configs[names[0]]["metadata"]["finer"].get("versions", {}).get("lmms_eval") or raw.get("lmms_eval_version")
    settings |= {"lmms_eval_version": version, "date": raw.get("date")}
    expected = {name: count.get("effective") for name, count in raw.get("n-samples", {}).items()}
    tasks = tuple(_task(results, name, configs[name], expected.get(name)) for name in names)
    return Run(results, model, tasks, settings)


def _results_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.rglob("*_results.json"), key=lambda file: (file.stat().st_mtime, file.name))
    if not found:
        raise ResultsError(f"{path}: no *_results.json below it. Run lmms-eval with --output_path {path} --log_samples")
    return found[-1]


def _task(results: Path, name: str, config: Mapping[str, Any], expected: int | None) -> TaskRun:
    path = results.with_name(results.name.replace("_results.json", f"_samples_{name}.jsonl"))
    if not path.exists():
        raise ResultsError(f"{path} is missing. Run lmms-eval with --log_samples, so that answers can be looked at one by one")
    identity = config["metadata"]["finer"]
    samples = tuple(_samples(path, identity))
    if not samples or (expected is not None and len(samples) != expected):
        raise ResultsError(
            f"{path} holds {len(samples)} documents, the results speak of {expected or 'some'}: the run was cut off, "
            "or the file is not whole. Run lmms-eval again"
        )
    return TaskRun(name, identity, config.get("generation_kwargs") or {}, samples)


def _samples(path: Path, identity: Mapping[str, Any]) -> Iterator[Sample]:
    seen: dict[str, int] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                sample, level = _sample(json.loads(line))
                document = str(sample.record["id"])
            except (ValueError, KeyError, TypeError) as error:
                cut = "the last line is cut off" if not line.endswith("\n") else f"not a sample of a FINER task ({error})"
                raise ResultsError(at_line(path, number, cut)) from error
            if document.split("/", 1)[0] != identity["dataset"] or level not in (None, identity["level"]):
                fix = "The file belongs to another task"
                raise ResultsError(at_line(path, number, f"{document} was scored at level {level or 'unknown'}", fix))
            if document in seen:
                raise ResultsError(at_line(path, number, f"{document} is there already, on line {seen[document]}"))
            seen[document] = number
            bad = next((metric for metric, item in sample.items.items() if not _is_number(item)), None)
            if bad:
                raise ResultsError(at_line(path, number, f"{document}: the score {bad} is {sample.items[bad].get('score')!r}"))
            yield sample


def _sample(raw: Mapping[str, Any]) -> tuple[Sample, str | None]:
    """A line of a samples file, and the level it was scored at where it tells."""
    detail = raw["em_strict"] if "em_strict" in raw else raw["attr_f1"]
    items = {name: value for name, value in raw.items() if isinstance(value, dict) and "concept_id" in value}
    outputs = tuple(detail["rounds"]) if "rounds" in detail else (_output(raw["filtered_resps"]),)
    media = tuple(str(name) for name in raw.get("input_media") or ())
    question = raw.get("input", "")
    asked = question if isinstance(question, str) else ""
    return Sample(detail["record"], extract_answer(outputs[-1]), items, outputs, asked, media), detail.get("level")


def _is_number(item: Mapping[str, Any]) -> bool:
    """Whether a metric's score is finite; figures that do not apply to a document have none."""
    score = item.get("score")
    return score is None or (isinstance(score, (int, float)) and math.isfinite(score))


def _output(value: Any) -> str:
    while isinstance(value, list) and value:
        value = value[-1]
    return value if isinstance(value, str) else ""
