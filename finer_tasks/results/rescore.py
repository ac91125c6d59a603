"""Scoring a run's logged answers again, without model or images."""

from __future__ import annotations

from dataclasses import replace

from finer_tasks.datasets.record import accepted_labels
from finer_tasks.hooks import lexicon, score_items
from finer_tasks.metrics import classification
from finer_tasks.metrics.strict import StrictScore, score_strict
from finer_tasks.results.reading import Run, Sample, TaskRun


def rescore(run: Run) -> Run:
    """The run with every answer judged by this version's scorers and name tables."""
    return replace(run, tasks=tuple(_task(task) for task in run.tasks))


def _task(task: TaskRun) -> TaskRun:
    if not task.names_concepts:
        return task
    level, names = task.identity["level"], lexicon(task.identity["dataset"])

    def again(sample: Sample) -> Sample:
        if sample.reason == "corrupt_image":
            em, f1, strict = 0.0, 0.0, StrictScore(False, "corrupt_image", (), 0, None)
        else:
            em, f1 = classification.score(sample.answer, accepted_labels(dict(sample.record), level))
            strict = score_strict(sample.answer, sample.record, level, names)
        return replace(sample, items={**sample.items, **score_items(em, f1, strict, sample.record["concept_id"])})

    return replace(task, samples=tuple(again(sample) for sample in task.samples))
