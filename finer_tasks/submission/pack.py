"""`finer submit pack`: runs of lmms-eval → one archive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import ValidationError

import finer_tasks
from finer_tasks.parsing import explain
from finer_tasks.runs.allowing import REASONS, check_allowed, require_answered
from finer_tasks.runs.card import Card
from finer_tasks.runs.reading import Run, TaskRun, require_alike
from finer_tasks.runs.rescore import by_this_version
from finer_tasks.runs.samples import Sample
from finer_tasks.submission.archive import SUBMISSION, SubmissionError, write_archive
from finer_tasks.submission.models import Answer, Submission, TaskEntry
from finer_tasks.submission.scoring import SUBMITTED_LISTS, SUBMITTED_NAMING, means, official_task, question_hash


def pack(runs: Sequence[Run], card: Card, output: Path, allow: Collection[str] = ()) -> str:
    """Write the archive; returns its digest. Raises FinerError for runs that could never verify.

    Runs scored by an older version are scored anew. Documents that the model did not answer, which count as
    wrong, are refused unless `allow` names the reason.
    """
    check_allowed(allow, REASONS)
    version = require_alike("versions of lmms-eval", (run.settings.get("lmms_eval_version") for run in runs), "use one")
    model = require_alike("models", (run.model for run in runs), "pack one model at a time")
    entries: dict[str, TaskEntry] = {}
    members: dict[str, bytes] = {}
    for run in runs:
        for task in by_this_version(run).tasks:
            if task.name in entries:
                raise SubmissionError(f"{task.name} is in more than one of the runs; give one run of each task")
            _require_whole(task)
            require_answered([task], allow)
            answers = [_answer(task, sample) for sample in task.samples]
            members[f"tasks/{task.name}.jsonl"] = "".join(answer.model_dump_json() + "\n" for answer in answers).encode()
            entries[task.name] = TaskEntry(
                identity=dict(task.identity),
                generation=dict(task.generation),
                documents=len(answers),
                scores=means([answer.scores for answer in answers]),
                unanswered=task.unanswered,
            )
    date = max(str(run.settings.get("date") or "") for run in runs)
    try:
        whole = Submission(
            card=card, finer_version=finer_tasks.__version__, lmms_eval_version=version, model=model, date=date, tasks=entries
        )
    except ValidationError as error:
        raise SubmissionError(f"the runs cannot be packed: {explain(error)}") from error
    return write_archive(output, members | {SUBMISSION: whole.model_dump_json(indent=2).encode()})


def _require_whole(task: TaskRun) -> None:
    official_task(task.name)
    if imported := task.identity.get("imported"):
        raise SubmissionError(
            f"{task.name} was imported from {imported['from']}, and how its answers came about is not stated. Submissions "
            "take runs of lmms-eval"
        )
    if task.part:
        raise SubmissionError(f"{task.name} was run on {task.part}; run it without --limit, on the whole dataset as published")
    if any(not sample.question for sample in task.samples):
        raise SubmissionError(
            f"{task.name}: the samples file does not tell the questions; run lmms-eval with --log_samples again"
        )


def _answer(task: TaskRun, sample: Sample) -> Answer:
    wanted = SUBMITTED_NAMING if task.names_concepts else SUBMITTED_LISTS
    try:
        return Answer(
            id=sample.record["id"],
            question=question_hash(sample.question),
            outputs=sample.outputs,
            corrupt_image=bool(sample.items["corrupt_images"]["value"]),
            scores={name: float(sample.items[name]["score"]) for name in wanted},
        )
    except ValidationError as error:
        raise SubmissionError(f"{task.name}, {sample.record['id']}: {explain(error)}") from error
