"""A model's own tokens, to tell the first at which two replies part."""

from __future__ import annotations

from collections.abc import Sequence

from finer_tasks.models.loading import LoadOptions, load_processor


class Tokens:
    """Parts a reply by a model's tokenizer; raises ModelError where it cannot be loaded."""

    unit = "token"

    def __init__(self, model: str) -> None:
        self._tokenizer = load_processor(LoadOptions(model)).tokenizer

    def parts(self, text: str) -> Sequence[int]:
        """Ids of a text by itself, without tokens that begin or end a sequence."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
