"""From lmms-eval's requests to jobs, and a job's next round."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from finer_tasks.models.batching import by_length
from finer_tasks.models.conversation import Conversation, images_of
from finer_tasks.replies import ROUNDS

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

TaskDict = Mapping[str, Mapping[str, Any]]


@dataclass
class Job:
    """One request on its way: where it came from, its conversation so far, and its replies.

    `place` is what lmms-eval calls the document: task, split and number. `rounds` tells whether the task has more to say
    after a reply.
    """

    index: int
    place: tuple[str, str, int]
    doc: Any
    context: str
    messages: Callable[..., Any]
    arguments: Mapping[str, Any]
    rounds: bool = False
    replies: list[str] = field(default_factory=list)
    info: Any = None

    @property
    def task(self) -> str:
        return self.place[0]

    @property
    def document(self) -> Hashable:
        """What the conversation is about: a record's id, which several tasks share; the place of what is no record."""
        return self.doc["id"] if isinstance(self.doc, Mapping) and "concept_id" in self.doc else self.place

    @property
    def conversation(self) -> Conversation:
        """The conversation of the first round; decodes the images."""
        first: Conversation = self.messages(self.doc)
        return first


def chat_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a chat task's request, whose task makes the messages of every round."""
    context, messages, arguments, doc_id, task, split = request.args
    arguments = copy.deepcopy(arguments or {})
    rounds = bool(arguments.pop(ROUNDS, request.request_type == "generate_until_multi_round"))
    return Job(index, (task, split, doc_id), documents[task][split][doc_id], context, messages, arguments, rounds)


def simple_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a request that hands over text and images apart."""
    context, arguments, visuals, doc_id, task, split = request.args
    doc, messages = documents[task][split][doc_id], _user_turn_of(visuals, context)
    return Job(index, (task, split, doc_id), doc, context, messages, copy.deepcopy(arguments or {}))


def continuation_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a loglikelihood request; its reply is the continuation."""
    context, target, visuals, doc_id, task, split = request.args
    doc = documents[task][split][doc_id]
    text = target if isinstance(target, str) else target(doc)
    return Job(index, (task, split, doc_id), doc, context, _user_turn_of(visuals, context), {}, replies=[text])


def grouped(jobs: Sequence[Job], shares: bool) -> list[list[Job]]:
    """Jobs that may share a batch, in the order in which they are to be run.

    With `shares`, jobs about the same image stand together, whatever their arguments; the others are parted by kind.
    """
    together = _by_document(jobs) if shares else []
    taken = {job.index for job in together}
    apart = [job for job in jobs if job.index not in taken]
    return ([together] if together else []) + by_length(apart, lambda job: len(job.context), _kind)


def alike(jobs: Sequence[Job]) -> list[list[int]]:
    """The places of jobs that one call of the model can answer: with equal arguments, and all of one or of several rounds."""
    places: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(_kind(job), []).append(place)
    return list(places.values())


def next_messages(job: Job) -> Conversation | None:
    """The conversation of a job's next round, None when its rounds are over."""
    if not job.rounds:
        return None
    payload = job.messages(job.doc, round_idx=len(job.replies), previous_output=list(job.replies), previous_round_info=job.info)
    if not (isinstance(payload, tuple) and len(payload) == 4):
        return None
    messages, is_last, _, job.info = payload
    return None if is_last else messages


def _user_turn_of(visuals: Callable[[Any], Sequence[Any] | None], text: str) -> Callable[[Any], list[dict[str, Any]]]:
    def messages(doc: Any) -> list[dict[str, Any]]:
        images = [{"type": "image", "url": visual} for visual in visuals(doc) or ()]
        return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]

    return messages


def _by_document(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose image another job shows as well, the longest questions first."""
    first = {job.task: job for job in reversed(jobs)}
    shown = {task: bool(images_of(job.conversation)) for task, job in first.items()}
    members: dict[Hashable, list[Job]] = {}
    for job in jobs:
        if shown[job.task]:
            members.setdefault(job.document, []).append(job)
    several = [group for group in members.values() if len(group) > 1]
    return [job for group in sorted(several, key=lambda group: -max(len(job.context) for job in group)) for job in group]


def _kind(job: Job) -> str:
    return json.dumps([job.arguments, job.rounds], sort_keys=True, default=str)
