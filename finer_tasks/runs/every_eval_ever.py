"""The form of the EvalEval Coalition, Every Eval Ever: aggregate JSON, and JSONL with every answer."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

import finer_tasks
from finer_tasks.datasets.registry import get_reader
from finer_tasks.runs.card import Card
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.statistics.bootstrap import CONFIDENCE, RESAMPLES, Bootstrap

SCHEMA, INSTANCE_SCHEMA = "0.2.1", "instance_level_eval_0.2.1"
_SEED, _LONGEST_STEM = 0, 100


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
        "schema_version": SCHEMA,
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
        "evaluation_results": [_result(task, metric) for task in run.tasks for metric in task.main_scores],
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


def _result(task: TaskRun, metric: str) -> dict[str, Any]:
    found = Bootstrap(task.clusters, _SEED).mean(task.scores(metric))
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
                "num_samples": len(task.samples),
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
    metric = task.main_scores[0]
    score = sample.score(metric)
    reference = [str(name) for name in sample.record["fine"]]
    if task.identity["level"] != "fine":
        level = sample.record[task.identity["level"]]
        reference = [level] if isinstance(level, str) else [str(name) for name in level]
    several = len(sample.outputs) > 1
    last = 2 * len(sample.outputs) - 1
    return {
        "schema_version": INSTANCE_SCHEMA,
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
