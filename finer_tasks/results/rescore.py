"""Scoring a run's logged answers again, without model or images."""

from __future__ import annotations

from dataclasses import replace

from finer_tasks.hooks import judge, score_items
from finer_tasks.results.reading import Run, Sample, TaskRun


def rescore(run: Run) -> Run:
    """The run with every answer judged by this version's scorers and name tables."""
    return replace(run, tasks=tuple(_task(task) for task in run.tasks))


def _task(task: TaskRun) -> TaskRun:
    if not task.names_concepts:
        return task

    def again(sample: Sample) -> Sample:
        readable = sample.reason != "corrupt_image"
        em, f1, strict = judge(sample.record, sample.answer, task.identity["level"], readable)
        return replace(sample, items={**sample.items, **score_items(em, f1, strict, sample.record["concept_id"])})

    return replace(task, samples=tuple(again(sample) for sample in task.samples))
