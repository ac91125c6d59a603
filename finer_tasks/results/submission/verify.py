"""`finer submit verify`: whether a submission is what the official documents, prompts and rules give for its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from finer_tasks.errors import FinerError
from finer_tasks.metrics import SCORING_VERSION
from finer_tasks.prompts import DEFAULT, load_prompt_set
from finer_tasks.results.submission.archive import SUBMISSION, SubmissionError, explain, parse_json, read_archive
from finer_tasks.results.submission.models import Answer, Submission, TaskEntry
from finer_tasks.results.submission.pack import means
from finer_tasks.results.submission.scoring import (
    documents_of,
    official_task,
    prepared_of,
    question_hash,
    question_of,
    recompute,
)
from finer_tasks.tasks import TaskInfo

_TOLERANCE = 1e-9
_SHOWN = 5


@dataclass(frozen=True)
class Verified:
    """A submission that was read: its answers by task, its digest, and what does not hold."""

    path: Path
    digest: str
    submission: Submission
    answers: Mapping[str, tuple[Answer, ...]]
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
    answers = {}
    for name, entry in submission.tasks.items():
        answers[name] = _answers(path, name, members)
        problems += [f"{name}: {problem}" for problem in _task_problems(official_task(name), entry, answers[name])]
    return Verified(path, found, submission, answers, tuple(problems))


def _submission(path: Path, members: Mapping[str, bytes]) -> Submission:
    if SUBMISSION not in members:
        raise SubmissionError(f"{path} holds no {SUBMISSION}; make it with `finer submit pack`")
    try:
        submission = Submission.model_validate(parse_json(members[SUBMISSION], f"{path}: {SUBMISSION}"))
    except ValidationError as error:
        raise SubmissionError(f"{path}: {SUBMISSION}: {explain(error)}") from error
    files = {f"tasks/{name}.jsonl" for name in submission.tasks}
    if files != set(members) - {SUBMISSION}:
        odd = sorted(files ^ (set(members) - {SUBMISSION}))[0]
        raise SubmissionError(f"{path}: {odd} is in the archive or in {SUBMISSION}, but not in both")
    return submission


def _answers(path: Path, name: str, members: Mapping[str, bytes]) -> tuple[Answer, ...]:
    found = []
    for number, line in enumerate(members[f"tasks/{name}.jsonl"].splitlines(), start=1):
        where = f"{path}: tasks/{name}.jsonl:{number}"
        try:
            found.append(Answer.model_validate(parse_json(line, where)))
        except ValidationError as error:
            raise SubmissionError(f"{where}: {explain(error)}") from error
    return tuple(found)


def _task_problems(task: TaskInfo, entry: TaskEntry, answers: tuple[Answer, ...]) -> list[str]:
    """What does not hold about one task."""
    problems = list(_identity_problems(task, entry))
    documents = documents_of(task.dataset)
    counted = Counter(answer.id for answer in answers)
    problems += _some("document is there more than once", [i for i, count in counted.items() if count > 1])
    problems += _some("document is missing", [i for i in documents if i not in counted])
    problems += _some("document is no official one", [i for i in counted if i not in documents])
    if entry.documents != len(answers):
        problems.append(f"{entry.documents} documents are stated, {len(answers)} are there")
    known = [answer for answer in answers if answer.id in documents]
    asked = {answer.id: question_hash(question_of(task, documents[answer.id])) for answer in known}
    problems += _some("document was asked another question", [a.id for a in known if a.question != asked[a.id]])
    wrong = []
    for answer in known:
        scores = recompute(task, documents[answer.id], answer.outputs, answer.corrupt_image)
        if not _equal(scores, answer.scores):
            wrong.append(answer.id)
    problems += _some("document's scores are not what its answer gets", wrong)
    if answers and not problems and not _equal(means(answers), entry.scores):
        problems.append("the means are not those of the documents")
    return problems


def _identity_problems(task: TaskInfo, entry: TaskEntry) -> Iterator[str]:
    prompts, manifest = load_prompt_set(DEFAULT), prepared_of(task.dataset).manifest
    wanted = {
        "dataset": task.dataset, "level": task.level, "variant": task.variant, "parent": task.parent,
        "prompt_set": prompts.name, "prompt_hash": prompts.hash, "data_fingerprint": manifest.fingerprint,
        "data_partial": False, "scoring": SCORING_VERSION,
    }  # fmt: skip
    if manifest.partial:
        raise FinerError(f"your own copy of {task.dataset} is partial; prepare the whole dataset to verify {task.name}")
    for key, value in wanted.items():
        if entry.identity.get(key) != value:
            yield f"{key} is {entry.identity.get(key)!r}, official is {value!r}"
    if entry.identity.get("similarity", "lexical") != "lexical":
        yield f"similarity {entry.identity['similarity']!r} cannot be recomputed; submissions use lexical"


def _some(what: str, ids: list[str]) -> list[str]:
    if not ids:
        return []
    examples = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
    return [f"{len(ids)} x {what}: {examples}"]


def _equal(found: Mapping[str, float], claimed: Mapping[str, float]) -> bool:
    return set(found) == set(claimed) and all(abs(found[name] - claimed[name]) <= _TOLERANCE for name in found)
