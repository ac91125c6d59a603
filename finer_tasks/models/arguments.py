"""The arguments of a model of lmms-eval, as its command takes them."""

from __future__ import annotations

from typing import Any

from finer_tasks.errors import ModelError


def model_arguments(text: str) -> dict[str, Any]:
    """Of `key=value,key=value`; raises ModelError for other text."""
    from lmms_eval.utils import simple_parse_args_string

    try:
        return dict(simple_parse_args_string(text))
    except ValueError as error:
        raise ModelError(f"{text!r} are no model arguments; give key=value,key=value") from error
