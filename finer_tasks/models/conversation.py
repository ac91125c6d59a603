"""From lmms-eval's chat messages to the inputs of a transformers model, and the next turn's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from finer_tasks.errors import ModelError, in_one_line

Message = Mapping[str, Any]
Conversation = Sequence[Message]


class ChatEncoder:
    """Renders conversations with the processor's chat template and encodes them left-padded."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        own = getattr(processor, "chat_template", None)
        # Where only the tokenizer has a template, the processor has to be given it.
        self._lent_template = None if own else getattr(self.tokenizer, "chat_template", None)
        self.has_template = bool(own or self._lent_template)

    def check(self, config: Any) -> None:
        """Raise ModelError unless a question with an image, as every task asks it, reaches the model with the image."""
        question = [{"type": "image", "url": Image.new("RGB", (64, 64))}, {"type": "text", "text": "What is it?"}]
        try:
            ids = self.encode([[{"role": "user", "content": question}]])["input_ids"]
        except Exception as error:  # whatever the files of a model can be wrong in
            causes = [*self._lacking(config), f"{type(error).__name__}: {in_one_line(error)}"]
            raise ModelError(
                f"the model's processor cannot put an image into a question ({'; '.join(causes)}). Mend the files in its folder"
            ) from error
        token = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
        if token is not None and not bool((ids == token).any()):
            own = getattr(self.processor, "image_token_id", None)
            if own is not None and bool((ids == own).any()):
                raise ModelError(
                    f"the model would not see the image (config.json has {token} as the image's token, the processor {own}). "
                    "Mend the files in its folder"
                )
            why = "; ".join(self._lacking(config)) or "its chat template leaves the image out"
            raise ModelError(f"the model would not see the image ({why}). Put a template that fits into its folder")

    def _lacking(self, config: Any) -> list[str]:
        """What the processor's files lack: a chat template, or what old LLaVA folders have as null, with the right value."""
        own = {
            "patch_size": getattr(getattr(config, "vision_config", None), "patch_size", None),
            "vision_feature_select_strategy": getattr(config, "vision_feature_select_strategy", None),
        }
        absent = [name for name in own if getattr(self.processor, name, "") is None]
        lacking = [f"processor_config.json has no {name}, the model has {own[name]}" for name in absent]
        return lacking if self.has_template else ["there is no chat_template.jinja", *lacking]

    def render(self, conversation: Conversation, add_generation_prompt: bool = True) -> str:
        """The prompt as text; models without a chat template get the plain text of the turns."""
        if not self.has_template:
            return "\n".join(part["text"] for turn in conversation for part in _parts(turn) if part["type"] == "text")
        turns = [{"role": turn["role"], "content": [_template_part(part) for part in _parts(turn)]} for turn in conversation]
        rendered: str = self.processor.apply_chat_template(
            turns, chat_template=self._lent_template, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return rendered

    def encode(self, conversations: Sequence[Conversation], texts: Sequence[str] | None = None) -> Any:
        """Model inputs as CPU tensors: ids and mask of shape (batch, length), and the processor's pixel tensors."""
        texts = list(texts or (self.render(conversation) for conversation in conversations))
        images = [images_of(conversation) for conversation in conversations]
        bos = self.tokenizer.bos_token
        arguments: dict[str, Any] = {"text": texts, "padding": True, "return_tensors": "pt"}
        if any(images):
            arguments["images"] = images
        if bos and texts and texts[0].startswith(bos):
            arguments["add_special_tokens"] = False  # the template has put it there already
        return self.processor(**arguments)

    def split_at_image(self, conversation: Conversation) -> tuple[str, str] | None:
        """The rendered prompt up to the end of the image, and what follows; None unless it has one image in one place."""
        placeholder = getattr(self.processor, "image_token", None)
        if not placeholder or len(images_of(conversation)) != 1:
            return None
        before, found, after = self.render(conversation).partition(placeholder)
        return (before + found, after) if found and placeholder not in after else None

    def tail_ids(self, text: str) -> list[int]:
        """Ids of a part of a prompt, such as that which follows the image."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def reply_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of replies as they stand behind a prompt, with what the template writes in front of one; without their end."""
        prompt, lead, before = self._opening
        tokenized = self.tokenizer([prompt + lead + text for text in texts], add_special_tokens=False)["input_ids"]
        parted = [ids[len(before) :] if ids[: len(before)] == before else None for ids in tokenized]
        # Where the tokens do not part at the end of the prompt, a reply is taken by itself.
        return [self.tail_ids(lead + text) if ids is None else ids for text, ids in zip(texts, parted, strict=True)]

    @cached_property
    def _opening(self) -> tuple[str, str, list[int]]:
        """A prompt, what the template writes between it and the reply, and the prompt's ids."""
        question, mark = {"role": "user", "content": "What is it?"}, "REPLY"
        prompt = self.render([question])
        whole = self.render([question, {"role": "assistant", "content": mark}], add_generation_prompt=False)
        lead = whole[len(prompt) :].partition(mark)[0] if self.has_template and whole.startswith(prompt) else ""
        return prompt, lead, self.tail_ids(prompt)

    def next_turn(self, before: Conversation, reply: str, now: Conversation, ended: bool) -> list[int] | None:
        """Ids that follow a generated reply in the longer conversation `now`, None if it is no continuation.

        `before` is the conversation that led to `reply`; `ended` tells whether the reply closed
        with an end-of-sequence token, which the template would write once more.
        """
        if not self.has_template or len(now) != len(before) + 2 or list(now[: len(before)]) != list(before):
            return None
        answer = now[len(before)]
        stated = "".join(part["text"] for part in _parts(answer) if part["type"] == "text")
        if answer["role"] != "assistant" or stated.strip() != reply.strip() or images_of(now[len(before) :]):
            return None
        prompt, full = self.render(before), self.render(now)
        start = full.find(reply.strip(), len(prompt)) if full.startswith(prompt) else -1
        if start < 0:
            return None
        rest = full[start + len(reply.strip()) :]
        if ended and self.tokenizer.eos_token and rest.startswith(self.tokenizer.eos_token):
            rest = rest[len(self.tokenizer.eos_token) :]
        ids: list[int] = self.tokenizer(rest, add_special_tokens=False)["input_ids"]
        return ids


def images_of(conversation: Conversation) -> list[Any]:
    """All images of a conversation in order."""
    return [part.get("url", part.get("image")) for turn in conversation for part in _parts(turn) if part["type"] == "image"]


def without_images(conversation: Conversation) -> Conversation:
    """The same turns with their text alone."""
    return [turn | {"content": [part for part in _parts(turn) if part["type"] != "image"]} for turn in map(dict, conversation)]


def append_turn(
    ids: torch.Tensor, mask: torch.Tensor, turns: Sequence[Sequence[int]], pad: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of shape (batch, length + longest turn), the new turns padded on their left."""
    added, added_mask = pad_left(turns, pad)
    return torch.cat([ids, added.to(ids)], dim=1), torch.cat([mask, added_mask.to(mask)], dim=1)


def pad_left(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of shape (rows, longest row)."""
    width = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), width), pad), torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = torch.tensor(row)
        mask[place, width - len(row) :] = 1
    return ids, mask


def _parts(turn: Message) -> Sequence[Mapping[str, Any]]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _template_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "image"} if part["type"] == "image" else {"type": "text", "text": part["text"]}
