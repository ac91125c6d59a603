"""Several rounds on any backend: how each takes them, and the driver of those that only know single requests.

The driver takes every round of true chat turns as one batch of the backend's own generate_until over all
documents that are not done, so that it batches or runs concurrently as far as it can.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lmms_eval.api.filter import Filter
from lmms_eval.api.instance import Instance, unwrap_generation_output

from finer_tasks.errors import ModelError, user_errors
from finer_tasks.replies import NO_CONTENT, as_text
from finer_tasks.tasks.contract import require

# The modules of those backends of lmms-eval whose own function takes the rounds of many documents together. A backend
# of another project says so itself, as finer_hf does, by `takes_rounds_together = True`.
_TAKE_ROUNDS_TOGETHER = {"lmms_eval.models.chat.aero_realtime_vllm"}


class FirstReply(Filter):
    """lmms-eval's take_first, but that a reply without content stays told from an empty one: lmms-eval scores both as ""."""

    def apply(self, resps: Sequence[Sequence[Any]], docs: Any) -> list[Any]:
        """The first reply to each request; all of them where it is a list of rounds."""
        return [_with_content(replies[0]) if replies else NO_CONTENT for replies in resps]


def _with_content(reply: Any) -> Any:
    return [_with_content(one) for one in reply] if isinstance(reply, list) else NO_CONTENT if reply is None else reply


def choose_rounds(model: Any) -> str:
    """How a model, or the one of that name, takes several rounds.

    multi_round: by its own function, many documents together. driver: `drive` runs true chat turns on its
    generate_until; lmms-eval's vllm, whose own function takes one document at a time, gives the same turns that way.
    agentic: lmms-eval's loop, one document at a time, each round a fresh turn, for backends without chat turns.
    """
    backend = _backend(model)
    if getattr(backend, "is_simple", True):
        return "agentic"
    together = getattr(backend, "takes_rounds_together", False) or backend.__module__ in _TAKE_ROUNDS_TOGETHER
    return "multi_round" if together else "driver"


def comes_with_turns(model: Any) -> bool:
    """Whether a backend takes requests of several rounds among those of one, told by the argument ROUNDS."""
    return bool(getattr(_backend(model), "takes_rounds_with_turns", False))


def takes_names(model: Any) -> str:
    """How a model scores names: `together`, all of a document in one request, `each` in one of its own, or `none` at all.

    `each` as well where the model is unknown, which lmms-eval reports.
    """
    backend = _backend(model)
    if getattr(backend, "is_simple", True):
        return "each"
    return "together" if getattr(backend, "scores_names_together", False) else "none"


def _backend(model: Any) -> Any:
    """The class of a model, None if it is unknown."""
    if not isinstance(model, str):
        return type(model)
    from lmms_eval.models import get_model

    try:
        return get_model(model, force_simple="--force_simple" in sys.argv)
    except Exception:  # an unknown or unloadable model is lmms-eval's to report
        return None


def extend_evaluate() -> None:
    """Let lmms-eval's `evaluate` take the rounds of tasks whose metadata say `driver` by `drive`, once.

    Raises ChangedLmmsEvalError.
    """
    from lmms_eval import evaluator

    require("lmms_eval.evaluator", "evaluate", ("lm",))
    if getattr(evaluator.evaluate, "_finer_extended", False):
        return
    evaluate = evaluator.evaluate

    @functools.wraps(evaluate)
    def evaluated(lm: Any, *args: Any, **kwargs: Any) -> Any:
        with driven(lm):
            return evaluate(lm, *args, **kwargs)

    evaluated._finer_extended = True  # type: ignore[attr-defined]
    evaluator.evaluate = evaluated


@contextmanager
def driven(model: Any) -> Iterator[None]:
    """Let this one model take the rounds of our tasks by `drive` within the block; those of other tasks by its own function."""
    name = "generate_until_multi_round"
    before = {key: value for key, value in vars(model).items() if key == name}
    setattr(model, name, functools.partial(_dispatch, model, getattr(model, name)))
    try:
        yield
    finally:
        delattr(model, name)
        vars(model).update(before)


def _dispatch(model: Any, own: Callable[..., Any], requests: Sequence[Instance]) -> list[Any]:
    ours = [index for index, request in enumerate(requests) if request.metadata.get("finer", {}).get("rounds") == "driver"]
    others = sorted(set(range(len(requests))) - set(ours))
    replies: dict[int, Any] = {}
    if ours:
        with user_errors():
            replies |= zip(ours, drive(model, [requests[index] for index in ours]), strict=True)
    if others:
        replies |= zip(others, own([requests[index] for index in others]), strict=True)
    return [replies[index] for index in range(len(requests))]


def drive(model: Any, requests: Sequence[Instance]) -> list[list[str]]:
    """generate_until_multi_round in terms of `model.generate_until`: all replies of each request."""
    if getattr(model, "is_simple", True):
        raise ModelError(
            f"the tasks were made for a chat model, but {type(model).__name__} has no chat turns: give the TaskManager the "
            "name of the model that is evaluated, as model_name"
        )
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
