"""From conversations in the LLaVA format to the inputs of any image-text-to-text model, labels on the answers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from finer_tasks.datasets.images import image_size, open_image
from finer_tasks.datasets.registry import READERS
from finer_tasks.errors import FinerError
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.conversations import IMAGE
from finer_tasks.training.tuning.packing import pack

IGNORED = -100
Row = Mapping[str, Any]


class ConversationEncoder:
    """Encodes batches with the processor of the model, padded on the right.

    Prompts are rendered as finer_hf renders them for evaluation. A template that does not close
    an answer gets the end-of-sequence token there, as in LLaVA's own training, so that the
    tuned model stops.
    """

    def __init__(self, processor: Any, images: Path, packing: bool = False) -> None:
        self.chat, self.packing = ChatEncoder(processor), packing
        self.tokenizer = processor.tokenizer
        self.tokenizer.padding_side = "right"
        self.images = images
        self.eos = self.tokenizer.eos_token
        if not self.eos or not self.tokenizer.is_fast:
            raise MixtureError("the model's tokenizer must be a fast one with an end-of-sequence token")
        probe = self._rendered([_turn("user", "a"), _turn("assistant", "b")])
        self._closes = self.eos in probe[probe.rfind("b") :]

    def render(self, row: Row) -> tuple[str, list[tuple[int, int]]]:
        """The conversation as text, and where its answers lie in it: from after the prompt to the end token, included."""
        messages, spans = [], []
        for turn in row["conversations"]:
            if turn["from"] == "human":
                messages.append({"role": "user", "content": _parts(turn["value"])})
                continue
            prompt = self._rendered(messages, prompt=True)
            reply = turn["value"].strip()
            messages.append(_turn("assistant", reply if self._closes else reply + self.eos))
            whole = self._rendered(messages)
            end = whole.find(self.eos, len(prompt) + len(reply)) + len(self.eos)
            if not whole.startswith(prompt) or reply not in whole[len(prompt) : end]:
                raise MixtureError(
                    f"conversation {row['id']}: the model's chat template does not keep earlier turns as they were, "
                    "so that the loss cannot be put on the answers. Train on single turns, or use another template"
                )
            spans.append((len(prompt), end))
        return whole[: spans[-1][1]], spans

    def _rendered(self, messages: Sequence[Mapping[str, Any]], prompt: bool = False) -> str:
        if self.chat.has_template:
            return self.chat.render(messages, add_generation_prompt=prompt)
        # As finer_hf prompts models without a template: the turns as plain text, the answer on a new line.
        return self.chat.render(messages)

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Model inputs and labels, shape (batch, length), packed if so; the message of a FinerError under "error" instead."""
        try:
            return self.as_trained(self.encode(rows))
        except FinerError as error:  # a worker process would wrap it in its traceback
            return {"error": str(error)}

    def as_trained(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """A batch as it goes into the model: one row if conversations are packed."""
        return pack(inputs) if self.packing else inputs

    def encode(self, rows: Sequence[Row]) -> dict[str, Any]:
        """As __call__, padded and raising; labels are -100 but on the answers."""
        rendered = [self.render(row) for row in rows]
        texts = [text for text, _ in rendered]
        images = [[self.image(row)] if row["image"] else [] for row in rows]
        arguments: dict[str, Any] = {"padding": True, "return_tensors": "pt", "return_offsets_mapping": True}
        if any(images):
            arguments["images"] = images
        if self.tokenizer.bos_token and texts[0].startswith(self.tokenizer.bos_token):
            arguments["add_special_tokens"] = False
        try:
            inputs = dict(self.chat.processor(text=texts, **arguments))
        except (ValueError, TypeError, IndexError) as error:
            ids = ", ".join(row["id"] for row in rows)
            raise MixtureError(f"the model's processor does not take this batch ({error}). Conversations: {ids}") from error
        offsets = torch.as_tensor(inputs.pop("offset_mapping"))
        inputs["labels"] = torch.stack(
            [self._labels(ids, where, *one) for ids, where, one in zip(inputs["input_ids"], offsets, rendered, strict=True)]
        )
        return inputs

    def _labels(self, ids: torch.Tensor, offsets: torch.Tensor, text: str, spans: list[tuple[int, int]]) -> torch.Tensor:
        """Offsets are characters of the text with the image token repeated; the last end token tells by how much they moved."""
        real = (offsets[:, 1] > offsets[:, 0]).nonzero().flatten()
        closing = real[ids[real] == self.tokenizer.eos_token_id]
        if not len(closing):
            raise MixtureError("the model's tokenizer does not read its end-of-sequence token in the rendered text")
        moved = int(offsets[closing[-1], 1]) - len(text)
        labels = torch.full_like(ids, IGNORED)
        for start, end in spans:
            inside = (offsets[:, 0] >= start + moved) & (offsets[:, 1] <= end + moved) & (offsets[:, 1] > offsets[:, 0])
            labels[inside] = ids[inside]
        return labels

    def image(self, row: Row) -> Image.Image:
        """The image of a conversation as the evaluation shows it."""
        return image_of_row(self.images, row["image"])

    def image_size(self, row: Row) -> tuple[int, int]:
        """Width and height of that image, without decoding it."""
        return image_size(self.images / row["image"], _banner(row["image"]))

    def answers(self, batch: Mapping[str, Any], index: int) -> list[str]:
        """The texts that bear the loss in a row of a batch, decoded from the labels; for checks."""
        found: list[list[int]] = []
        before = IGNORED
        for label in batch["labels"][index].tolist():
            if label != IGNORED:
                if before in (IGNORED, self.tokenizer.eos_token_id):
                    found.append([])
                found[-1].append(label)
            before = label
        return [self.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in found]

    def check(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Encode rows and make sure that the loss lies on their answers and nothing else; returns the batch."""
        batch = self.encode(rows)
        for index, row in enumerate(rows):
            wanted = [" ".join(turn["value"].split()) for turn in row["conversations"] if turn["from"] == "gpt"]
            found = [" ".join(text.split()) for text in self.answers(batch, index)]
            if found != wanted:
                raise MixtureError(
                    f"conversation {row['id']}: the loss would lie on {found} instead of {wanted}; "
                    "the model's chat template or tokenizer does not fit"
                )
        return batch


def image_of_row(images: Path, image: str) -> Image.Image:
    """An image of a mixture by its path there, as the evaluation shows it; raises DatasetContentError."""
    return open_image(images / image, _banner(image))


def _banner(image: str) -> int:
    dataset = image.split("/", 1)[0]
    return READERS[dataset].crop_bottom if dataset in READERS else 0


def _parts(value: str) -> list[dict[str, Any]]:
    """The content of a human turn: its text around the place of the image."""
    pieces = value.split(IMAGE)
    parts: list[dict[str, Any]] = []
    for position, piece in enumerate(pieces):
        if position:
            parts.append({"type": "image"})
        if piece.strip():
            parts.append({"type": "text", "text": piece.strip()})
    return parts


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
