"""From lmms-eval's requests to jobs, and a job's next round."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmms_eval.api.instance import Instance

from finer_tasks.models.batching import by_length
from finer_tasks.models.conversation import Conversation

TaskDict = Mapping[str, Mapping[str, Any]]


@dataclass
class Job:
    """One request on its way: where it came from, its conversation so far, and its replies."""

    index: int
    doc: Any
    context: str
    messages: Callable[..., Any]
    arguments: Mapping[str, Any]
    replies: list[str] = field(default_factory=list)
    info: Any = None

    @property
    def conversation(self) -> Conversation:
        """The conversation of the first round; decodes the images."""
        first: Conversation = self.messages(self.doc)
        return first


def chat_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a chat task's request, whose task makes the messages of every round."""
    context, messages, arguments, doc_id, task, split = request.args
    return Job(index, documents[task][split][doc_id], context, messages, copy.deepcopy(arguments or {}))


def simple_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a request that hands over text and images apart."""
    context, arguments, visuals, doc_id, task, split = request.args
    messages = _user_turn_of(visuals, context)
    return Job(index, documents[task][split][doc_id], context, messages, copy.deepcopy(arguments or {}))


def continuation_job(index: int, request: Instance, documents: TaskDict) -> Job:
    """The job of a loglikelihood request; its reply is the continuation."""
    context, target, visuals, doc_id, task, split = request.args
    doc = documents[task][split][doc_id]
    text = target if isinstance(target, str) else target(doc)
    return Job(index, doc, context, _user_turn_of(visuals, context), {}, replies=[text])


def grouped(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs that may share a batch, in the order in which they are to be run."""
    return by_length(jobs, lambda job: len(job.context), lambda job: json.dumps(job.arguments, sort_keys=True, default=str))


def next_messages(job: Job) -> Conversation | None:
    """The conversation of a job's next round, None when its rounds are over."""
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
