"""From encoded conversations to replies: a turn for a whole batch, and the next one on top of its cache."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList

from finer_tasks.errors import ModelError
from finer_tasks.models.adapters import without_adapter
from finer_tasks.models.conversation import ChatEncoder, Conversation, append_turn
from finer_tasks.models.margins import Margins
from finer_tasks.models.prefix import BRANCHES, Heads, Prefix, can_branch
from finer_tasks.replies import is_tag, opened_thought

DEFAULT_MAX_NEW_TOKENS = 64
# Models whose token positions are a plain count, so that a first turn's cache can be continued.
CACHE_CONTINUES = {"llava", "finer_llava"}
_SAMPLING = ("top_p", "top_k", "num_beams", "repetition_penalty")


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of a prompt, image tokens included, and of its reply.

    `least_margin` is the smallest difference between the logits of the chosen token and of the next best one over a greedy
    reply: sums that round otherwise by more than that may give another reply.
    """

    input_tokens: int
    output_tokens: int
    least_margin: float | None = None


@dataclass
class Turn:
    """What a generated turn leaves for the next one: the conversations, ids, mask and cache.

    `to_go_on` has the tokens of each reply with its end, None where its text does not tell all of them.
    """

    conversations: list[Conversation]
    ids: torch.Tensor
    mask: torch.Tensor
    ended: list[bool]
    texts: list[str]
    counts: list[TokenCounts]
    to_go_on: list[list[int] | None]
    cache: Any = None


class Generator:
    """Generates the replies of a batch with a model and the encoder of its conversations."""

    def __init__(self, model: Any, encoder: ChatEncoder, device: torch.device) -> None:
        self.model, self.encoder, self.device = model, encoder, device
        self.tokenizer = encoder.tokenizer
        self.continues_cache = getattr(model.config, "model_type", "") in CACHE_CONTINUES
        self.branches = getattr(model.config, "model_type", "") in BRANCHES
        self.needs_images = _needs_images(model)
        # Special tokens, and whether they tell thought from answer.
        added = self.tokenizer.added_tokens_decoder
        self._special = {number: is_tag(token.content) for number, token in added.items() if token.special}

    @property
    def ends(self) -> list[int]:
        """The tokens that end a reply, of those that the model can give."""
        stated, known = self.model.generation_config.eos_token_id, self.model.config.get_text_config().vocab_size
        ends = {*(stated if isinstance(stated, list) else [stated]), self.tokenizer.eos_token_id} - {None}
        return sorted(end for end in ends if end < known)

    def first(self, conversations: list[Conversation], inputs: Any, arguments: Mapping[str, Any], more: bool = False) -> Turn:
        """The first turn of encoded conversations; with `more`, its cache is kept for a next one where the model allows."""
        return self._generate(conversations, inputs, arguments, keep_cache=more and self.continues_cache)

    def next(self, before: Turn, conversations: list[Conversation], arguments: Mapping[str, Any]) -> Turn | None:
        """The next turn on top of the earlier turn's cache; None where there is none or a conversation does not continue it."""
        inputs = self._continued(before, conversations)
        return None if inputs is None else self._generate(conversations, inputs, arguments, keep_cache=True)

    def prefix(self, heads: Heads) -> Prefix | None:
        """The cache of heads; None, once and for all, where the model keeps one that cannot be branched."""
        inputs = self.on_device(heads.inputs)
        step = self.prefill(inputs)
        if step is None:
            self.branches = False
            return None
        return Prefix(heads, inputs["attention_mask"], step.cache)

    @torch.inference_mode()
    def prefill(self, inputs: Mapping[str, Any], logits: bool = False) -> Any:
        """Prompts on the device put through the model, with their `cache`, and the `logits` of what follows where asked for.

        None where the model keeps a cache that cannot be branched.
        """
        # A single step of generate: it knows each model's positions of left-padded rows.
        step = self.model.generate(
            **inputs, max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=logits,
            pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip
        return step if can_branch(step.cache) and step.cache.get_seq_length() == inputs["attention_mask"].shape[1] else None

    def on_device(self, inputs: Any) -> dict[str, Any]:
        """Inputs where the model is, pixels in its number format; raises ModelError without an image that the model needs."""
        if "pixel_values" not in inputs and self.needs_images:
            told = f"models of type {self.model.config.model_type} take no question without an image"
            raise ModelError(f"{told}. Leave out the tasks that ask in text alone")
        moved = {}
        for key, value in dict(inputs).items():
            if isinstance(value, torch.Tensor):
                value = value.to(self.device)
                if value.is_floating_point():
                    value = value.to(self.model.dtype)
            moved[key] = value
        return moved

    def decode(self, row: torch.Tensor) -> str:
        """The text of a reply without special tokens, but with those that tell thought from answer."""
        if not any(self._special.values()):
            return str(self.tokenizer.decode(row, skip_special_tokens=True))
        kept = [number for number in row.tolist() if self._special.get(number, True)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False))

    def _continued(self, before: Turn, conversations: list[Conversation]) -> dict[str, Any] | None:
        """Inputs that go on from the cache, None where there is none or a conversation does not continue it."""
        if before.cache is None:
            return None
        turns: list[list[int]] = []
        for old, text, new, ended in zip(before.conversations, before.texts, conversations, before.ended, strict=True):
            turn = self.encoder.next_turn(old, text, new, ended)
            if turn is None:
                return None
            turns.append(turn)
        ids, mask = append_turn(before.ids, before.mask, turns, self.tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": mask, "cache": before.cache}

    @torch.inference_mode()
    def _generate(self, conversations: list[Conversation], inputs: Any, arguments: Mapping[str, Any], keep_cache: bool) -> Turn:
        inputs = self.on_device(inputs)
        settings, margins = self._arguments(arguments), Margins()
        if not settings["do_sample"] and settings.get("num_beams", 1) == 1:
            settings["logits_processor"] = LogitsProcessorList([margins])
        output = self.model.generate(**inputs, **settings, return_dict_in_generate=True)
        # Models that take embeddings return the new tokens alone, others the prompt as well.
        ids, prompt = output.sequences, inputs["input_ids"]
        start = prompt.shape[1] if torch.equal(ids[:, : prompt.shape[1]], prompt) else 0
        generated = ids[:, start:]
        lengths, ended = self._reply_lengths(generated)
        rows = [row[:length] for row, length in zip(generated, lengths, strict=True)]
        opened = [opened_thought(self.encoder.render(conversation)) for conversation in conversations]
        texts = [_cut(self.decode(row), arguments.get("until")) for row in rows]
        texts = [before + text for before, text in zip(opened, texts, strict=True)]
        counts = [
            TokenCounts(input_tokens=int(mask.sum()), output_tokens=length, least_margin=margin)
            for mask, length, margin in zip(inputs["attention_mask"], lengths, margins.least(lengths), strict=True)
        ]
        steps = torch.arange(generated.shape[1], device=ids.device)
        reply_mask = (steps < torch.tensor(lengths, device=ids.device)[:, None]).to(inputs["attention_mask"].dtype)
        mask = torch.cat([inputs["attention_mask"], reply_mask], dim=1)
        to_go_on = list(map(self._told_in_full, rows, ended, texts))
        keep_cache &= start > 0 and None not in to_go_on
        return Turn(conversations, ids, mask, ended, texts, counts, to_go_on, output.cache if keep_cache else None)

    def _told_in_full(self, row: torch.Tensor, ended: bool, text: str) -> list[int] | None:
        """The tokens of a reply that is all they say: a later turn must not see what a stop string cut off."""
        told = self.tokenizer.decode(row[: len(row) - ended], skip_special_tokens=False) == text
        return row.tolist() if told else None

    def _reply_lengths(self, generated: torch.Tensor) -> tuple[list[int], list[bool]]:
        """Tokens of each reply up to and including its end token, and whether it has one."""
        lengths, ended, ends = [], [], self.ends
        for row in generated.tolist():
            position = next((i for i, token in enumerate(row) if token in ends), None)
            lengths.append(len(row) if position is None else position + 1)
            ended.append(position is not None)
        return lengths, ended

    def _arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The generation arguments of a task in transformers' words."""
        temperature, sample = float(arguments.get("temperature") or 0), samples(arguments)
        chosen = {key: arguments[key] for key in _SAMPLING if arguments.get(key) is not None}
        if not sample:
            chosen.pop("top_p", None)
            chosen.pop("top_k", None)
        return {
            "max_new_tokens": int(arguments.get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS),
            "do_sample": sample,
            **({"temperature": temperature} if sample else {}),
            "pad_token_id": self.tokenizer.pad_token_id,
            **chosen,
        }


def samples(arguments: Mapping[str, Any]) -> bool:
    """Whether a reply is drawn at random by a task's generation arguments."""
    return bool(arguments.get("do_sample")) and float(arguments.get("temperature") or 0) > 0


def _cut(text: str, until: str | Sequence[str] | None) -> str:
    """The text before the first stop string."""
    stops = [until] if isinstance(until, str) else list(until or ())
    for stop in stops:
        if stop:
            text = text.split(stop, 1)[0]
    return text


def _needs_images(model: Any) -> bool:
    """Whether a model takes no text without an image, as those in which a Q-Former reads it first."""
    pixels = inspect.signature(without_adapter(model).forward).parameters.get("pixel_values")
    return pixels is not None and pixels.default is pixels.empty
