"""`--use_cache` for our tasks: no answers of weights that were replaced, and no failed requests."""

from __future__ import annotations

import functools
import uuid
from typing import Any

from finer_tasks.errors import user_errors
from finer_tasks.replies import no_answer, rounds_of
from finer_tasks.tasks.recording import identities_in


def extend_response_cache() -> None:
    """Put the fingerprint of the weights into the key under which `--use_cache` keeps answers to our tasks, once.

    Failed requests, which it keeps like answers, are made again.
    """
    from lmms_eval.caching.response_cache import ResponseCache

    if getattr(ResponseCache, "_finer_extended", False):
        return
    create = ResponseCache.create.__func__

    @functools.wraps(create)
    def created(cls: Any, *args: Any, model: Any = "", model_args: Any = "", task_dict: Any = None, **kwargs: Any) -> Any:
        ours = any(identities_in(task_dict or {}))
        if ours:
            with user_errors():
                model = f"{model}@{_weights(model, model_args)}"
        cache = create(cls, *args, model=model, model_args=model_args, task_dict=task_dict, **kwargs)
        return _without_failures(cache) if ours else cache

    ResponseCache.create = classmethod(created)  # type: ignore[arg-type]  # wraps hides the class
    ResponseCache._finer_extended = True


def _without_failures(cache: Any) -> Any:
    """The cache, which now neither keeps failed requests nor finds those it has kept."""
    lookup, is_valid = cache._lookup, cache._is_valid_response

    def answered(response: Any) -> bool:
        return no_answer(rounds_of([getattr(response, "text", response)])) != "request_failed"

    def found(key: str) -> Any:
        response = lookup(key)
        return response if answered(response) else None

    cache._lookup = found
    cache._is_valid_response = lambda response, kind: is_valid(response, kind) and answered(response)
    return cache


def _weights(model: Any, arguments: Any) -> str:
    """Fingerprint of the weights; one that never comes again where they are in memory and may be any."""
    from lmms_eval.utils import simple_parse_args_string

    from finer_tasks.models.fingerprint import weights_fingerprint

    if not isinstance(model, str):
        return uuid.uuid4().hex
    return weights_fingerprint(arguments if isinstance(arguments, dict) else simple_parse_args_string(arguments or ""))
