"""Lengths of conversations in tokens, before any image is decoded; and the order that groups them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch.utils.data import Sampler

from finer_tasks.errors import DatasetContentError, FinerError
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.tuning.encoding import ConversationEncoder

if TYPE_CHECKING:
    from datasets import Dataset

_MEGABATCH = 50


def measure(dataset: Dataset, encoder: ConversationEncoder) -> np.ndarray:
    """Tokens of every conversation, image tokens included, from the text and the sizes in the image headers."""
    tokens = ImageTokens(encoder)
    lengths = np.zeros(len(dataset), dtype=np.int32)
    for start in range(0, len(dataset), 1024):
        rows = [dataset[index] for index in range(start, min(start + 1024, len(dataset)))]
        texts = encoder.tokenizer([encoder.render(row)[0] for row in rows], add_special_tokens=False)["input_ids"]
        lengths[start : start + len(rows)] = [len(ids) + tokens(row) for ids, row in zip(texts, rows, strict=True)]
    return lengths


class ImageTokens:
    """How many tokens the image of a conversation takes beyond its placeholder; measured once where it is constant."""

    def __init__(self, encoder: ConversationEncoder) -> None:
        self._encoder = encoder
        counts = [self._of_size(size) for size in ((64, 64), (700, 300))]
        self._constant = counts[0] if counts[0] == counts[1] else None
        self._by_size: dict[tuple[int, int], int] = {}

    def __call__(self, row: Any) -> int:
        if not row["image"]:
            return 0
        path = self._encoder.images / row["image"]
        if not path.is_file():
            raise MixtureError(f"conversation {row['id']}: image {path} is missing. Rebuild the mixture, or restore the images")
        if self._constant is not None:
            return self._constant
        try:
            size = self._encoder.image_size(row)
        except DatasetContentError as error:
            raise MixtureError(f"conversation {row['id']}: {error}") from error
        if size not in self._by_size:
            self._by_size[size] = self._of_size(size)
        return self._by_size[size]

    def _of_size(self, size: tuple[int, int]) -> int:
        row = {"id": "probe", "image": "x", "conversations": [_said("human", "<image>\na"), _said("gpt", "b")]}
        text = self._encoder.render(row)[0]
        try:
            ids = self._encoder.chat.processor(text=[text], images=[[Image.new("RGB", size)]])["input_ids"][0]
        except (ValueError, TypeError) as error:
            raise MixtureError(
                f"the model's processor does not take an image in its own chat template ({error}); "
                "check that the processor belongs to the model"
            ) from error
        return len(ids) - len(self._encoder.tokenizer(text, add_special_tokens=False)["input_ids"])


def _said(speaker: str, value: str) -> dict[str, str]:
    return {"from": speaker, "value": value}


def within(dataset: Dataset, lengths: np.ndarray, limit: int, policy: str) -> tuple[Dataset, np.ndarray, int]:
    """The conversations that fit, their lengths, and how many were left out; raises MixtureError under policy "error"."""
    too_long = lengths > limit
    count = int(too_long.sum())
    if count and policy == "error":
        worst = int(lengths.argmax())
        raise MixtureError(
            f"{count} of {len(lengths)} conversations are longer than max_length={limit}; the longest, "
            f"{dataset[worst]['id']}, has {lengths[worst]} tokens. Raise max_length, or leave them out with overlong=drop"
        )
    if count == len(lengths):
        raise FinerError(f"no conversation fits max_length={limit}")
    kept = np.flatnonzero(~too_long)
    return (dataset.select(kept), lengths[kept], count) if count else (dataset, lengths, 0)


class GroupedOrder(Sampler[int]):
    """A random order that depends on seed and epoch alone, so that a resumed run sees the same batches.

    With `grouped`, every stretch of 50 batches is sorted by length, longest first, and cut into
    batches that are put in random order again; the longest conversation of all comes first, so
    that a run which does not fit in memory ends at its start. What does not fill a batch comes last.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, batch_size: int, seed: int, grouped: bool) -> None:
        self.lengths, self.batch_size, self.seed, self.grouped = np.asarray(lengths), batch_size, seed, grouped
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        if self.grouped:
            order = self._group(order, rng)
        yield from order.tolist()

    def _group(self, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = self.batch_size
        starts = np.arange(0, len(order), size * _MEGABATCH)
        # A last stretch that fills no batch joins the one before, or its longest could come last of all.
        cuts = starts[1:][len(order) - starts[1:] >= size]
        ordered = [part[np.argsort(-self.lengths[part], kind="stable")] for part in np.split(order, cuts)]
        merged = np.concatenate(ordered)
        whole = len(merged) // size * size
        batches, rest = merged[:whole].reshape(-1, size), merged[whole:]
        longest = [int(self.lengths[batch].max()) for batch in batches]
        if not len(batches):
            return merged
        first = int(np.argmax(longest))
        others = rng.permutation([index for index in range(len(batches)) if index != first]).astype(int)
        return np.concatenate([batches[first], batches[others].reshape(-1), rest])
