"""What a gate compares: the scores of each document of each task, from a run or from a baseline file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finer_tasks.replies import Unanswered
from finer_tasks.runs.allowing import FAILED
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample

# Figures that are no score of the answer, or the same score once more for another average.
_NOT_COMPARED = ("_macro", "corrupt_images", "lca_distance", "seek_", "attr_unparsed", "echo")
_LONGEST_ANSWER = 200
# Scores of both sides are compared to so many digits, as baseline files keep them.
_DIGITS = 6


@dataclass(frozen=True)
class Document:
    """One document: the hash of its labels and question, its concept, the answer in short, and its scores by metric."""

    content: str
    concept: str
    coarse: str
    fine: str
    answer: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class MeasuredTask:
    """One task: what identifies it, how answers were decoded, its documents by id, and how many of them the model never saw.

    `failed` counts requests that the backend did not answer; they are scored as wrong and say nothing of the model.
    """

    name: str
    identity: Mapping[str, Any]
    generation: Mapping[str, Any]
    documents: Mapping[str, Document]
    failed: int = 0

    @property
    def unanswered(self) -> dict[Unanswered, int]:
        """The same by reason, as a run tells it."""
        return {FAILED: self.failed} if self.failed else {}

    @property
    def metrics(self) -> list[str]:
        """Metrics that every document has."""
        documents = list(self.documents.values())
        return [name for name in documents[0].scores if all(name in document.scores for document in documents)]


@dataclass(frozen=True)
class Measured:
    """A run as the gate sees it."""

    source: str
    model: str
    settings: Mapping[str, Any]
    tasks: Mapping[str, MeasuredTask]


def measured(run: Run) -> Measured:
    """What the gate compares of a run."""
    return Measured(str(run.path), run.model, dict(run.settings), {task.name: _task(task) for task in run.tasks})


def _task(task: TaskRun) -> MeasuredTask:
    documents = {str(sample.record["id"]): document(sample) for sample in task.samples}
    return MeasuredTask(task.name, task.identity, task.generation, documents, task.unanswered.get(FAILED, 0))


def document(sample: Sample) -> Document:
    """A sample as the gate sees it."""
    record = sample.record
    scores = {
        name: round(float(item["score"]), _DIGITS)
        for name, item in sample.items.items()
        if item.get("score") is not None and not any(part in name for part in _NOT_COMPARED)
    }
    return Document(
        content=content_hash(record, "\n".join([sample.question, *sample.asked])),
        concept=str(record["concept_id"]),
        coarse=str(record["coarse"][0]),
        fine=str(record["fine"][0]),
        answer=sample.answer[:_LONGEST_ANSWER],
        scores=scores,
    )


def content_hash(record: Mapping[str, Any], question: str) -> str:
    """First 12 hex digits over a document's id, labels and question."""
    text = json.dumps([dict(record), question], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
