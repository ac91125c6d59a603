"""Figures of the multiple-choice tasks of a run: accuracy, what guessing leaves of it, and position bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.summary import unanswered_counts
from finer_tasks.scoring.aggregate import clustered_standard_error, mean
from finer_tasks.scoring.multiple_choice import DETAIL, LIKELIHOODS, RULES, corrected_for_chance
from finer_tasks.statistics.positions import PositionBias, position_bias


@dataclass(frozen=True)
class ChoiceRow:
    """One multiple-choice task by one score.

    Attributes:
        choices: how the options were chosen, as FINER_CHOICES has it.
        score: mc for answers; mc_letter, mc_name_sum and mc_name_norm for likelihoods.
        options: the most that a question offered.
        chance: mean of 1/k over the documents. corrected: accuracy after its correction for chance.
        chose: share of the documents for which an option is chosen.
        rules: accuracy by the rules of published benchmarks; of answers.
        reasons: what became of the documents, and how options were told; of answers.
        both_levels: share of the documents of both levels that are right at both; nan without the other level.
    """

    task: str
    dataset: str
    level: str
    choices: str
    score: str
    options: int
    documents: int
    accuracy: float
    error: float
    chance: float
    corrected: float
    chose: float
    bias: PositionBias
    rules: Mapping[str, float]
    reasons: Mapping[str, int]
    told_by: Mapping[str, int]
    both_levels: float
    corrupt_images: int
    failed_requests: int
    unfinished_thoughts: int


def choice_rows(run: Run) -> list[ChoiceRow]:
    """One row a task and score, by dataset and level."""
    tasks = [task for task in run.tasks if task.offers_options]
    tasks.sort(key=lambda task: (task.identity["dataset"], LEVELS.index(task.identity["level"]), task.name))
    return [_row(task, score, tasks) for task in tasks for score in (DETAIL, *LIKELIHOODS) if score in task.samples[0].items]


def setting_text(identity: Mapping[str, Any]) -> str:
    """How the options of a task were chosen, in short."""
    told = identity.get("choices") or {}
    seed = f", seed {told['seed']}" if told.get("seed") else ""
    file = f" {str(told['negatives'])[:12]}" if told.get("negatives") else ""
    return f"{told.get('name', '?')}{file}{seed}"


def _row(task: TaskRun, score: str, tasks: list[TaskRun]) -> ChoiceRow:
    items = [sample.items[score] for sample in task.samples]
    options = np.array([len(item["options"]) for item in items])
    right = np.array([item["right"] for item in items])
    chosen = np.array([-1 if item["chosen"] is None else item["chosen"] for item in items])
    answers = score == DETAIL
    return ChoiceRow(
        task=task.name,
        dataset=task.identity["dataset"],
        level=task.identity["level"],
        choices=setting_text(task.identity),
        score=score,
        options=int(options.max()),
        documents=len(items),
        accuracy=mean(items),
        error=clustered_standard_error(items),
        chance=float((1 / options).mean()),
        corrected=corrected_for_chance([{"value": item["score"], "of": len(item["options"])} for item in items]),
        chose=float((chosen >= 0).mean()),
        bias=position_bias(right, chosen, options),
        rules={rule: mean([sample.items[rule] for sample in task.samples]) for rule in RULES} if answers else {},
        reasons=dict(Counter(str(item["reason"]) for item in items).most_common()) if answers else {},
        told_by=dict(Counter(str(item["by"]) for item in items if item["by"]).most_common()) if answers else {},
        both_levels=_both_levels(task, score, tasks),
        **unanswered_counts(task),
    )


def _both_levels(task: TaskRun, score: str, tasks: list[TaskRun]) -> float:
    """TARA's consistency (HCA) over the levels that have options: all of a document's answers are right."""
    other = next((one for one in tasks if _belong_together(task, one) and score in one.samples[0].items), None)
    if other is None:
        return float("nan")
    found = {sample.record["id"]: sample.items[score]["score"] for sample in other.samples}
    pairs = [
        sample.items[score]["score"] * found[sample.record["id"]] for sample in task.samples if sample.record["id"] in found
    ]
    return sum(pairs) / len(pairs) if pairs else float("nan")


def _belong_together(task: TaskRun, other: TaskRun) -> bool:
    same = ("dataset", "variant", "choices")
    return all(task.identity.get(key) == other.identity.get(key) for key in same) and task is not other
