"""`finer export`: a run's results in the forms that others read.

model-index         YAML metadata for a model card on the Hugging Face hub, written by huggingface_hub
every-eval-ever     aggregate JSON and instance-level JSONL of the EvalEval Coalition, schema 0.2.1
evalai              the JSON that an EvalAI evaluation script returns
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

import finer_tasks
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import OutputError, ResultsError
from finer_tasks.runs.card import Card
from finer_tasks.runs.reading import Run, Sample, TaskRun, require_answered
from finer_tasks.statistics.bootstrap import CONFIDENCE, RESAMPLES, Bootstrap
from finer_tasks.statistics.clusters import Clusters
from finer_tasks.writing import write_text

EEE_SCHEMA, EEE_INSTANCES = "0.2.1", "instance_level_eval_0.2.1"
_TELLS_PARTS = ("every-eval-ever",)
_NAMING, _LISTS = ("em", "em_strict", "f1"), ("attr_f1",)
_SEED, _LONGEST_STEM = 0, 100


def export(run: Run, card: Card, form: str, output: Path, allow: Collection[str] = ()) -> list[Path]:
    """Write a run in one of the forms below a folder; returns the files.

    Raises ResultsError for a part of a split in a form that cannot say so, and for documents that the
    model did not answer unless `allow` names the reason.
    """
    for task in run.tasks:
        require_answered(task, allow)
        if task.part and form not in _TELLS_PARTS:
            raise ResultsError(
                f"{task.name} was run on {task.part}; in {form} it would be read as the whole split. Run it without --limit "
                f"and on the whole dataset, or export it as {' or '.join(_TELLS_PARTS)}"
            )
    files = FORMS[form](run, card)
    written = [output / name for name in files]
    for path in written:
        if path.exists() and path.samefile(run.path):
            raise OutputError(f"{path} is the run that is exported and would be lost. Give another --output")
    for path, text in zip(written, files.values(), strict=True):
        write_text(path, text)
    return written


def model_index(run: Run, card: Card) -> dict[str, str]:
    """`model-index` for the YAML head of a model card."""
    results = [
        EvalResult(
            task_type="image-text-to-text",
            task_name=task.name,
            dataset_type=task.identity["dataset"],
            dataset_name=get_reader(task.identity["dataset"]).origin.title,
            dataset_config=task.name,  # the hub's library takes tasks on one dataset and configuration for one task
            dataset_split="test",
            dataset_revision=task.identity["data_fingerprint"],
            metric_type="exact_match" if metric == "em" else metric,
            metric_name=metric,
            metric_value=round(_mean(task, metric), 6),
            metric_args={key: task.identity[key] for key in ("prompt_set", "prompt_hash", "scoring")},
        )
        for task in run.tasks
        for metric in metrics_of(task)
    ]
    index = eval_results_to_model_index(card.name, results)
    return {"model-index.yaml": yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True)}


def evalai(run: Run, card: Card) -> dict[str, str]:
    """One entry a dataset and split, with a figure for each task and metric."""
    by_split: dict[str, dict[str, float]] = {}
    for task in run.tasks:
        figures = by_split.setdefault(f"{task.identity['dataset']}_test", {})
        figures |= {f"{task.name}/{metric}": round(_mean(task, metric), 6) for metric in metrics_of(task)}
    document = {
        "result": [{split: figures} for split, figures in by_split.items()],
        "submission_metadata": card.model_dump(exclude_none=True),
    }
    return {"evalai.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n"}


def every_eval_ever(run: Run, card: Card) -> dict[str, str]:
    """An aggregate file, and an instance-level file with every answer."""
    now = str(time.time())
    model_id = card.url.removeprefix("https://huggingface.co/") if card.url else card.name
    evaluation = f"finer/{model_id}/{now}"
    instances = "".join(
        json.dumps(_instance(task, sample, evaluation, model_id), ensure_ascii=False) + "\n"
        for task in run.tasks
        for sample in task.samples
    )
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", card.name)[:_LONGEST_STEM].lstrip(".") or "model"
    details = {"revision": card.revision, "parameters_billion": f"{card.parameters:g}", "weights": card.weights}
    details |= {key: value for key in ("base_model", "adapter", "training_mixture") if (value := getattr(card, key))}
    document = {
        "schema_version": EEE_SCHEMA,
        "evaluation_id": evaluation,
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "finer-tasks",
            "source_type": "evaluation_run",
            "source_organization_name": card.contact,
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "lmms_eval",
            "version": str(run.settings.get("lmms_eval_version") or "unknown"),
            "additional_details": {"plugin": f"finer-tasks {finer_tasks.__version__}"},
        },
        "model_info": {"name": card.name, "id": model_id, "additional_details": details},
        "evaluation_results": [_result(task, metric) for task in run.tasks for metric in metrics_of(task)],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": f"{stem}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(instances.encode()).hexdigest(),
            "total_rows": sum(len(task.samples) for task in run.tasks),
        },
    }
    if run.settings.get("date"):
        document["evaluation_timestamp"] = str(run.settings["date"])
    return {f"{stem}.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n", f"{stem}_samples.jsonl": instances}


FORMS: Mapping[str, Callable[[Run, Card], dict[str, str]]] = {
    "model-index": model_index,
    "every-eval-ever": every_eval_ever,
    "evalai": evalai,
}


def metrics_of(task: TaskRun) -> Sequence[str]:
    """The figures that are exported of a task."""
    return _NAMING if task.names_concepts else _LISTS


def _mean(task: TaskRun, metric: str) -> float:
    return sum(float(sample.items[metric]["score"]) for sample in task.samples) / len(task.samples)


def _result(task: TaskRun, metric: str) -> dict[str, Any]:
    values = np.array([float(sample.items[metric]["score"]) for sample in task.samples])
    found = Bootstrap(Clusters.of([str(sample.record["concept_id"]) for sample in task.samples]), _SEED).mean(values)
    identity, origin = task.identity, get_reader(task.identity["dataset"]).origin
    result: dict[str, Any] = {
        "evaluation_name": f"{task.name}/{metric}",
        "source_data": {
            "dataset_name": origin.title,
            "source_type": "other",
            "additional_details": {"source": str(identity["data_source"]), "fingerprint": str(identity["data_fingerprint"])},
        },
        "metric_config": {
            "evaluation_description": f"{metric} at {identity['level']} level, variant {identity['variant']}"
            + (f", on {task.part} only" if task.part else ""),
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": found.value,
            "details": {"documents": task.part or "the whole split", "scoring": str(identity["scoring"])}
            | {reason: str(count) for reason, count in task.unanswered.items()},
            "uncertainty": {
                "confidence_interval": {
                    "lower": found.low,
                    "upper": found.high,
                    "confidence_level": CONFIDENCE,
                    "method": "bootstrap over concepts",
                },
                "num_samples": len(values),
                "num_bootstrap_samples": RESAMPLES,
            },
        },
    }
    arguments = {}
    if isinstance(task.generation.get("temperature"), (int, float)):
        arguments["temperature"] = task.generation["temperature"]
    if isinstance(task.generation.get("max_new_tokens"), int):
        arguments["max_tokens"] = task.generation["max_new_tokens"]
    details = {"prompt_set": str(identity["prompt_set"]), "prompt_hash": str(identity["prompt_hash"])}
    result["generation_config"] = {"generation_args": arguments, "additional_details": details}
    return result


def _instance(task: TaskRun, sample: Sample, evaluation: str, model_id: str) -> dict[str, Any]:
    metric = metrics_of(task)[0]
    score = float(sample.items[metric]["score"])
    reference = [str(name) for name in sample.record["fine"]]
    if task.identity["level"] != "fine":
        level = sample.record[task.identity["level"]]
        reference = [level] if isinstance(level, str) else [str(name) for name in level]
    several = len(sample.outputs) > 1
    last = 2 * len(sample.outputs) - 1
    return {
        "schema_version": EEE_INSTANCES,
        "evaluation_id": evaluation,
        "model_id": model_id,
        "evaluation_name": f"{task.name}/{metric}",
        "sample_id": str(sample.record["id"]),
        "sample_hash": hashlib.sha256((sample.question + json.dumps(reference)).encode()).hexdigest(),
        "interaction_type": "multi_turn" if several else "single_turn",
        "input": {"raw": sample.question, "reference": reference},
        "output": None if several else {"raw": list(sample.outputs)},
        "messages": _messages(sample) if several else None,
        "answer_attribution": [
            {
                "turn_idx": last if several else 0,
                "source": f"messages[{last}].content" if several else "output.raw",
                "extracted_value": sample.answer,
                "extraction_method": "text after the first 'Answer:', else all of it",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": score, "is_correct": score == 1.0, "num_turns": len(sample.outputs)},
        "metadata": {"concept_id": str(sample.record["concept_id"]), "level": str(task.identity["level"])},
    }


def _messages(sample: Sample) -> list[dict[str, Any]]:
    """The turns of a conversation; later questions are not logged by lmms-eval, so that their text is null."""
    turns = []
    for number, output in enumerate(sample.outputs):
        turns.append({"turn_idx": 2 * number, "role": "user", "content": sample.question if number == 0 else None})
        turns.append({"turn_idx": 2 * number + 1, "role": "assistant", "content": output})
    return turns
