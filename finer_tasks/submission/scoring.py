"""The official documents of a task, their questions, and the scores that answers to them get."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.registry import READERS, get_reader
from finer_tasks.replies import Unanswered, no_answer
from finer_tasks.scoring.attributes import LexicalSimilarity
from finer_tasks.scoring.judge import judge, list_items
from finer_tasks.submission.archive import SubmissionError
from finer_tasks.tasks import questions
from finer_tasks.tasks.table import NOT_SUBMITTED, SCORES_NAMES, TaskInfo, list_tasks, tasks_by_name

# In this order they stand in archives.
SUBMITTED_NAMING = ("em", "f1", "em_strict")
SUBMITTED_LISTS = ("attr_precision", "attr_recall", "attr_f1")


def submitted_tasks() -> list[str]:
    """The tasks that may be submitted: those of the benchmark's own questions whose answers can be scored again."""
    never = SCORES_NAMES | NOT_SUBMITTED
    return [task.name for task in list_tasks() if task.dataset in READERS and task.variant not in never]


@cache
def prepared_of(dataset: str) -> Prepared:
    """The verifier's own copy of a dataset; raises NotPreparedError."""
    return ensure_prepared(dataset)


@cache
def documents_of(dataset: str) -> Mapping[str, Mapping[str, Any]]:
    """The official test documents by id."""
    table = prepared_of(dataset).tables()["test"]
    wanted = [name for name in table.column_names if name != "embedded_image"]
    return {row["id"]: row for row in table.select_columns(wanted)}


def question_hash(text: str) -> str:
    """First 16 hex digits of the hash of a question's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def question_of(task: TaskInfo, document: Mapping[str, Any]) -> str:
    """The question with which a task opens, as lmms-eval logs it."""
    if task.variant == "attrseek":
        return questions.ask(document, "attrseek_seek", task.level, "gold_joined")
    if task.parent == "predicted":
        return questions.ask(document, "direct", "superordinate", "none")
    return questions.ask(document, task.variant, task.level, task.parent)


@dataclass(frozen=True)
class Scored:
    """The scores of a document, and why it has no answer of the model, if it has none."""

    scores: Mapping[str, float]
    unanswered: Unanswered | None


def recompute(task: TaskInfo, document: Mapping[str, Any], outputs: Sequence[str], corrupt: bool) -> Scored:
    """What an answer gets by this version's rules."""
    if task.variant.startswith("attributes"):
        items = list_items(document, outputs, LexicalSimilarity(), readable=not corrupt)
        scores = {name: float(items[name]["score"]) for name in SUBMITTED_LISTS}
    else:
        em, f1, strict = judge(document, outputs, task.level, readable=not corrupt)
        scores = {"em": em, "f1": f1, "em_strict": float(strict.right)}
    return Scored(scores, no_answer(outputs, readable=not corrupt))


def means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each score over the documents."""
    return {name: sum(one[name] for one in scores) / len(scores) for name in scores[0]}


def official_task(name: str) -> TaskInfo:
    """The task of that name; raises SubmissionError."""
    task = tasks_by_name().get(name)
    if task is None:
        raise SubmissionError(f"{name} is no task of this version of finer-tasks; `finer tasks` lists them")
    if get_reader(task.dataset).own:
        raise SubmissionError(
            f"{name} is a task on a dataset of your own, whose images and taxonomy others lack to verify it; leave it out"
        )
    if task.variant in SCORES_NAMES:
        raise SubmissionError(f"{name} scores names by likelihood, and leaves no answers to score again; leave it out")
    if task.variant in NOT_SUBMITTED:
        raise SubmissionError(f"{name} asks a question that is none of the benchmark, which no leaderboard ranks; leave it out")
    return task
