"""Driving several rounds of true chat turns on chat backends that only know single requests.

Every round is one batch of the backend's own generate_until over all documents that are not done,
so that it batches or runs concurrently as far as it can.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.filter import Filter
from lmms_eval.api.instance import Instance, unwrap_generation_output

from finer_tasks.replies import NO_CONTENT, as_text


class FirstReply(Filter):
    """lmms-eval's take_first, but that a reply without content stays told from an empty one: lmms-eval scores both as ""."""

    def apply(self, resps: Sequence[Sequence[Any]], docs: Any) -> list[Any]:
        """The first reply to each request; all of them where it is a list of rounds."""
        return [_with_content(replies[0]) if replies else NO_CONTENT for replies in resps]


def _with_content(reply: Any) -> Any:
    return [_with_content(one) for one in reply] if isinstance(reply, list) else NO_CONTENT if reply is None else reply


def drive(model: Any, requests: Sequence[Instance]) -> list[list[str]]:
    """generate_until_multi_round in terms of `model.generate_until`: all replies of each request."""
    replies: list[list[str]] = [[] for _ in requests]
    info: list[Any] = [None] * len(requests)
    conversations: dict[int, Any] = {}
    for index, request in enumerate(requests):
        _, messages, _, doc_id, task, split = request.args
        conversations[index] = messages(model.task_dict[task][split][doc_id])
    while conversations:
        batch = [_single(requests[index], conversation) for index, conversation in conversations.items()]
        outputs = model.generate_until(batch)
        for index, output in zip(conversations, outputs, strict=True):
            replies[index].append(as_text(unwrap_generation_output(output)[0]))
        conversations = _following(model, requests, list(conversations), replies, info)
    return replies


def _following(
    model: Any, requests: Sequence[Instance], active: list[int], replies: list[list[str]], info: list[Any]
) -> dict[int, Any]:
    """The conversations of the next round by request, without those whose rounds are over."""
    following = {}
    for index in active:
        _, messages, _, doc_id, task, split = requests[index].args
        payload = messages(
            model.task_dict[task][split][doc_id],
            round_idx=len(replies[index]),
            previous_output=list(replies[index]),
            previous_round_info=info[index],
        )
        if isinstance(payload, tuple) and len(payload) == 4 and not payload[1]:
            following[index], _, _, info[index] = payload
    return following


def _single(request: Instance, conversation: Any) -> Instance:
    context, _, arguments, doc_id, task, split = request.args
    single = copy.copy(request)
    single.request_type = "generate_until"
    single.arguments = (context, lambda _doc: conversation, copy.deepcopy(arguments), doc_id, task, split)
    single.resps, single.token_counts = [], []
    return single
