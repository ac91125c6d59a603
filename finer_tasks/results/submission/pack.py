"""`finer submit pack`: runs of lmms-eval → one archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

import finer_tasks
from finer_tasks.results.reading import Run, Sample, TaskRun
from finer_tasks.results.submission.archive import SUBMISSION, SubmissionError, explain, write_archive
from finer_tasks.results.submission.models import Answer, Card, Submission, TaskEntry
from finer_tasks.results.submission.scoring import ATTRIBUTE_SCORES, NAMING_SCORES, official_task, question_hash


def read_card(path: Path) -> Card:
    """The card in a YAML file; raises SubmissionError naming the field."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Card.model_validate(raw)
    except (OSError, yaml.YAMLError) as error:
        raise SubmissionError(f"{path} cannot be read ({error})") from error
    except ValidationError as error:
        fields = ", ".join(f"{name}{'' if field.is_required() else ' (optional)'}" for name, field in Card.model_fields.items())
        raise SubmissionError(f"{path}: {explain(error)}. A card has the fields {fields}") from error


def pack(runs: Sequence[Run], card: Card, output: Path) -> str:
    """Write the archive; returns its digest. Raises SubmissionError for runs that could never verify."""
    versions = {str(run.settings.get("lmms_eval_version")) for run in runs}
    if len(versions) > 1:
        raise SubmissionError(f"the runs are of different versions of lmms-eval ({', '.join(sorted(versions))}); use one")
    models = {run.model for run in runs}
    if len(models) > 1:
        raise SubmissionError(f"the runs are of different models ({'; '.join(sorted(models))}); pack one model at a time")
    entries: dict[str, TaskEntry] = {}
    members: dict[str, bytes] = {}
    for run in runs:
        for task in run.tasks:
            if task.name in entries:
                raise SubmissionError(f"{task.name} is in more than one of the runs; give one run of each task")
            _require_whole(run, task)
            answers = [_answer(task, sample) for sample in task.samples]
            members[f"tasks/{task.name}.jsonl"] = "".join(answer.model_dump_json() + "\n" for answer in answers).encode()
            entries[task.name] = TaskEntry(
                identity=dict(task.identity),
                generation=dict(task.generation),
                documents=len(answers),
                scores=means(answers),
            )
    whole = Submission(
        card=card,
        finer_version=finer_tasks.__version__,
        lmms_eval_version=versions.pop(),
        model=models.pop(),
        date=max(str(run.settings.get("date") or "") for run in runs),
        tasks=entries,
    )
    return write_archive(output, members | {SUBMISSION: whole.model_dump_json(indent=2).encode()})


def means(answers: Sequence[Answer]) -> dict[str, float]:
    """Mean of each score over the documents."""
    return {name: sum(answer.scores[name] for answer in answers) / len(answers) for name in answers[0].scores}


def _require_whole(run: Run, task: TaskRun) -> None:
    official_task(task.name)
    if run.settings.get("limit") or task.identity.get("data_partial"):
        raise SubmissionError(
            f"{task.name} was run on a part of its documents; run it without --limit and on the whole dataset"
        )
    if any(not sample.question for sample in task.samples):
        raise SubmissionError(
            f"{task.name}: the samples file does not tell the questions; run lmms-eval with --log_samples again"
        )


def _answer(task: TaskRun, sample: Sample) -> Answer:
    wanted = NAMING_SCORES if task.names_concepts else ATTRIBUTE_SCORES
    try:
        return Answer(
            id=str(sample.record["id"]),
            question=question_hash(sample.question),
            outputs=sample.outputs,
            corrupt_image=bool(sample.items["corrupt_images"].get("value")),
            scores={name: float(sample.items[name]["score"]) for name in wanted},
        )
    except (ValidationError, KeyError, TypeError) as error:
        why = explain(error) if isinstance(error, ValidationError) else repr(error)
        raise SubmissionError(f"{task.name}, {sample.record['id']}: {why}") from error
