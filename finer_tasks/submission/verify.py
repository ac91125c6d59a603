"""`finer submit verify`: whether a submission is what the official documents, prompts and rules give for its answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.errors import FinerError
from finer_tasks.parsing import explain
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.submission.archive import SUBMISSION, SubmissionError, parse, read_archive
from finer_tasks.submission.models import SCHEMA_VERSION, Answer, Submission, TaskEntry
from finer_tasks.submission.scoring import (
    Scored,
    documents_of,
    means,
    official_task,
    prepared_of,
    question_hash,
    question_of,
    recompute,
)
from finer_tasks.tasks.prompts import DEFAULT, load_prompt_set
from finer_tasks.tasks.table import TaskInfo
from finer_tasks.text import shortened

_TOLERANCE = 1e-9
_SHOWN = 5
_LONGEST_LINE = 8 << 20
_PACK_AGAIN = "pack the runs again, `finer submit pack` scores older ones anew"


@dataclass(frozen=True)
class Verified:
    """A submission that was read: its digest, the scores of each task's documents, and what does not hold.

    `same` has a digest of each task's answers that case and white space do not change; tasks with one and the
    same answer to every document are left out, since different models may well agree on those.
    """

    path: Path
    digest: str
    submission: Submission
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    same: Mapping[str, str]
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def verify(path: Path, digest: str | None = None) -> Verified:
    """Read and check everything; raises SubmissionError for an archive that is none, and FinerError without the data.

    `digest` is what `finer submit pack` printed, if the submitter gave it another way: without it, answers that
    were edited along with all scores and sums are a submission like any other.
    """
    members, found = read_archive(path)
    submission = _submission(path, members)
    problems = [f"the digest is {found}, not {digest}"] if digest and digest != found else []
    tasks = {name: official_task(name) for name in submission.tasks}
    for name, entry in submission.tasks.items():
        problems += [f"{name}: {problem}" for problem in _identity_problems(tasks[name], entry)]
    if problems:  # then no score can hold, and the answers need not be read
        return Verified(path, found, submission, {}, {}, tuple(problems))
    scores, same = {}, {}
    for name, entry in submission.tasks.items():
        answers = _answers(path, tasks[name], members.pop(f"tasks/{name}.jsonl"))
        problems += [f"{name}: {problem}" for problem in _task_problems(tasks[name], entry, answers)]
        scores[name] = {answer.id: answer.scores for answer in answers}
        if (of_answers := _digest(answers)) is not None:
            same[name] = of_answers
    return Verified(path, found, submission, scores, same, tuple(problems))


def _submission(path: Path, members: Mapping[str, bytes]) -> Submission:
    if SUBMISSION not in members:
        raise SubmissionError(f"{path} holds no {SUBMISSION}; make it with `finer submit pack`")
    raw = parse(members[SUBMISSION], f"{path}: {SUBMISSION}")
    schema = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema != SCHEMA_VERSION:
        fix = _PACK_AGAIN if schema < SCHEMA_VERSION else "update finer-tasks"
        raise SubmissionError(f"{path} has schema {shortened(schema)}, this version reads {SCHEMA_VERSION}: {fix}")
    try:
        submission = Submission.model_validate(raw)
    except ValidationError as error:
        raise SubmissionError(f"{path}: {SUBMISSION}: {explain(error)}") from error
    files = {f"tasks/{name}.jsonl" for name in submission.tasks}
    if files != set(members) - {SUBMISSION}:
        odd = sorted(files ^ (set(members) - {SUBMISSION}))[0]
        raise SubmissionError(f"{path}: {odd} is in the archive or in {SUBMISSION}, but not in both")
    return submission


def _answers(path: Path, task: TaskInfo, content: bytes) -> tuple[Answer, ...]:
    """The answers to one task; raises SubmissionError before reading more than there are official documents."""
    where, most = f"{path}: tasks/{task.name}.jsonl", len(documents_of(task.dataset))
    lines = content.splitlines()
    if len(lines) > most:
        raise SubmissionError(f"{where} has {len(lines)} documents, the official ones are {most}")
    found = []
    for number, line in enumerate(lines, start=1):
        if len(line) > _LONGEST_LINE:
            raise SubmissionError(f"{where}:{number}: a line of {len(line)} bytes; an answer is shorter")
        try:
            found.append(Answer.model_validate(parse(line, f"{where}:{number}")))
        except ValidationError as error:
            raise SubmissionError(f"{where}:{number}: {explain(error)}") from error
    return tuple(found)


def _digest(answers: Sequence[Answer]) -> str | None:
    texts = {answer.id: " ".join(answer.outputs[-1].split()).casefold() for answer in answers}
    if len(set(texts.values())) < 2:
        return None
    total = hashlib.sha256()
    for identity, text in sorted(texts.items()):
        total.update(f"{identity}\0{text}\0".encode())
    return total.hexdigest()


def _task_problems(task: TaskInfo, entry: TaskEntry, answers: tuple[Answer, ...]) -> list[str]:
    """What does not hold about the answers to one task."""
    documents = documents_of(task.dataset)
    counted = Counter(answer.id for answer in answers)
    problems = _some("document is there more than once", [i for i, count in counted.items() if count > 1])
    problems += _some("document is missing", [i for i in documents if i not in counted])
    problems += _some("document is no official one", [i for i in counted if i not in documents])
    if entry.documents != len(answers):
        problems.append(f"{entry.documents} documents are stated, {len(answers)} are there")
    known = [answer for answer in answers if answer.id in documents]
    asked = {answer.id: question_hash(question_of(task, documents[answer.id])) for answer in known}
    problems += _some("document was asked another question", [a.id for a in known if a.question != asked[a.id]])
    scored = [(a, recompute(task, documents[a.id], a.outputs, a.corrupt_image)) for a in known]
    wrong = [answer.id for answer, found in scored if not _equal(found.scores, answer.scores)]
    problems += _some("document's scores are not what its answer gets", wrong)
    if not problems:
        problems += _sum_problems(entry, [found for _, found in scored])
    return problems


def _sum_problems(entry: TaskEntry, scored: Sequence[Scored]) -> Iterator[str]:
    if not _equal(means([found.scores for found in scored]), entry.scores):
        yield "the means are not those of the documents"
    unanswered = dict(Counter(found.unanswered for found in scored if found.unanswered))
    if unanswered != entry.unanswered:
        yield f"{entry.unanswered or 'none'} are stated as unanswered, {unanswered or 'none'} are"


def _identity_problems(task: TaskInfo, entry: TaskEntry) -> Iterator[str]:
    prompts, manifest = load_prompt_set(DEFAULT), prepared_of(task.dataset).manifest
    if manifest.partial:
        raise FinerError(f"your own copy of {task.dataset} is partial; prepare the whole dataset to verify {task.name}")
    if not manifest.is_official("test"):
        raise FinerError(
            f"your own copy of {task.dataset} is not known to have the official split; prepare the official files to verify "
            f"{task.name}"
        )
    wanted = {
        "dataset": task.dataset, "level": task.level, "variant": task.variant, "parent": task.parent,
        "prompt_set": prompts.name, "prompt_hash": prompts.hash, "data_fingerprint": manifest.contents["test"],
        "perturbation": None, "data_partial": False, "scoring": SCORING_VERSION,
        "attributes_fingerprint": load_knowledge(task.dataset).fingerprint if task.attributes else None,
    }  # fmt: skip
    for key, value in wanted.items():
        if (found := entry.identity.get(key)) != value:
            fix = f"; {_PACK_AGAIN}" if key == "scoring" else ""
            yield f"{key} is {shortened(found)}, official is {value!r}{fix}"
    if "imported" in entry.identity:
        yield f"it was imported ({shortened(entry.identity['imported'])}), and submissions are of runs of lmms-eval"
    if (found := entry.identity.get("similarity", "lexical")) != "lexical":
        yield f"similarity {shortened(found)} cannot be recomputed; submissions use lexical"


def _some(what: str, ids: list[str]) -> list[str]:
    if not ids:
        return []
    examples = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
    return [f"{len(ids)} x {what}: {examples}"]


def _equal(found: Mapping[str, float], claimed: Mapping[str, float]) -> bool:
    return set(found) == set(claimed) and all(abs(found[name] - claimed[name]) <= _TOLERANCE for name in found)
