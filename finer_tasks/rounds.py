"""Driving several rounds of true chat turns on chat backends that only know single requests.

Every round is one batch of the backend's own generate_until over all documents that are not done,
so that it batches or runs concurrently as far as it can.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.instance import Instance, unwrap_generation_output

from finer_tasks.answers import as_text


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
