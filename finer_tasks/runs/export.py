"""`finer export`: a run's results in the forms that others read.

model-index         YAML metadata for a model card on the Hugging Face hub, written by huggingface_hub
every-eval-ever     aggregate JSON and instance-level JSONL of the EvalEval Coalition, schema 0.2.1
evalai              the JSON that an EvalAI evaluation script returns
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import yaml
from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import ResultsError
from finer_tasks.runs.allowing import REASONS, check_allowed, require_answered
from finer_tasks.runs.card import Card
from finer_tasks.runs.every_eval_ever import every_eval_ever
from finer_tasks.runs.outputs import not_read
from finer_tasks.runs.reading import Run
from finer_tasks.writing import write_text

_TELLS_PARTS = ("every-eval-ever",)


def export(run: Run, card: Card, form: str, output: Path, allow: Collection[str] = ()) -> list[Path]:
    """Write a run in one of the forms below a folder; returns the files.

    Raises ResultsError for a part of a split in a form that cannot say so, and for documents that the
    model did not answer unless `allow` names the reason.
    """
    check_allowed(allow, REASONS)
    require_answered(run.tasks, allow)
    for task in run.tasks:
        if task.part and form not in _TELLS_PARTS:
            raise ResultsError(
                f"{task.name} was run on {task.part}; in {form} it would be read as the whole split. Run it without --limit "
                f"and on the whole dataset as published, or export it as {' or '.join(_TELLS_PARTS)}"
            )
    files = FORMS[form](run, card)
    written = [output / name for name in files]
    for path in written:
        not_read(path, run.path)
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
            metric_value=round(float(task.scores(metric).mean()), 6),
            metric_args={key: task.identity[key] for key in ("prompt_set", "prompt_hash", "scoring")},
        )
        for task in run.tasks
        for metric in task.main_scores
    ]
    index = eval_results_to_model_index(card.name, results)
    return {"model-index.yaml": yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True)}


def evalai(run: Run, card: Card) -> dict[str, str]:
    """One entry a dataset and split, with a figure for each task and metric."""
    by_split: dict[str, dict[str, float]] = {}
    for task in run.tasks:
        figures = by_split.setdefault(f"{task.identity['dataset']}_test", {})
        figures |= {f"{task.name}/{metric}": round(float(task.scores(metric).mean()), 6) for metric in task.main_scores}
    document = {
        "result": [{split: figures} for split, figures in by_split.items()],
        "submission_metadata": card.model_dump(exclude_none=True),
    }
    return {"evalai.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n"}


FORMS: Mapping[str, Callable[[Run, Card], dict[str, str]]] = {
    "model-index": model_index,
    "every-eval-ever": every_eval_ever,
    "evalai": evalai,
}
