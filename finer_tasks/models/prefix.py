"""What the conversations about one image share: everything up to the end of the image, computed once and branched.

LLaVA-style templates put the image before the question, so the key/value cache of that part is the same for all levels,
ways of asking, turns and candidate names of a document. A batch's images are run through the model once; each question
then goes on from a branch of its image's cache, its own tokens padded on their left.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from finer_tasks.models.conversation import ChatEncoder, Conversation, images_of, pad_left

# Architectures whose cache can be branched: token positions are a plain count, and no token sees what follows it.
# Not Qwen2.5-VL and Qwen3-VL (positions in three dimensions are kept in the model for one batch), BLIP-2 and
# InstructBLIP (the image enters by a Q-Former, which reads the question), Gemma 3 and PaliGemma (image tokens see ahead).
BRANCHES = {"llava", "finer_llava", "llava_next", "llava_onevision", "idefics3", "smolvlm", "internvl"}


@dataclass(frozen=True)
class Heads:
    """The shared parts of a batch's conversations, encoded on the CPU.

    Attributes:
        inputs: ids and mask of shape (images, longest head), left-padded, and the processor's pixel tensors.
        rows: the row of each document.
        texts: the rendered text of each head, up to the end of the image.
        images: the image of each head.
    """

    inputs: dict[str, Any]
    rows: dict[Hashable, int]
    texts: list[str]
    images: list[Any]


@dataclass(frozen=True)
class Prefix:
    """Heads with their cache, which stays as it is: questions go on from copies of its rows."""

    heads: Heads
    mask: torch.Tensor
    cache: Cache


def encode_heads(encoder: ChatEncoder, documents: Sequence[Hashable], conversations: Sequence[Conversation]) -> Heads | None:
    """The heads of a batch, one a document; None where no document comes twice, or a conversation cannot be parted.

    Parted are conversations with one image, whose tokens part where the image ends.
    """
    rows: dict[Hashable, int] = {}
    leaders: list[Conversation] = []
    texts, tails = [], []
    for document, conversation in zip(documents, conversations, strict=True):
        if document in rows:
            continue
        parts = encoder.split_at_image(conversation)
        if parts is None:
            return None
        rows[document] = len(leaders)
        leaders.append(conversation)
        texts.append(parts[0])
        tails.append(encoder.tail_ids(parts[1]))
    if len(leaders) == len(conversations):
        return None
    inputs = dict(encoder.encode(leaders))
    heads = []
    for ids, mask, tail in zip(inputs["input_ids"], inputs["attention_mask"].bool(), tails, strict=True):
        whole = ids[mask].tolist()
        if not tail or whole[-len(tail) :] != tail:
            return None
        heads.append(whole[: -len(tail)])
    for key in ("token_type_ids", "mm_token_type_ids"):
        inputs.pop(key, None)
    inputs["input_ids"], inputs["attention_mask"] = pad_left(heads, encoder.tokenizer.pad_token_id)
    return Heads(inputs, rows, texts, [images_of(leader)[0] for leader in leaders])


def branch(
    prefix: Prefix, encoder: ChatEncoder, documents: Sequence[Hashable], conversations: Sequence[Conversation]
) -> dict[str, Any] | None:
    """Inputs of conversations that go on from their documents' cache; None where one does not begin with its head."""
    heads, rows, tails = prefix.heads, [], []
    for document, conversation in zip(documents, conversations, strict=True):
        row, parts = heads.rows.get(document), encoder.split_at_image(conversation)
        if row is None or parts is None or parts[0] != heads.texts[row] or images_of(conversation)[0] != heads.images[row]:
            return None
        rows.append(row)
        tails.append(encoder.tail_ids(parts[1]))
    if not all(tails):
        return None
    device = prefix.mask.device
    ids, mask = pad_left(tails, encoder.tokenizer.pad_token_id)
    return {
        "input_ids": torch.cat([heads.inputs["input_ids"].to(device)[rows], ids.to(device)], dim=1),
        "attention_mask": torch.cat([prefix.mask[rows], mask.to(device)], dim=1),
        "cache": _selected(prefix.cache, torch.tensor(rows, device=device)),
    }


def can_branch(cache: Any) -> bool:
    """Whether every layer of a cache holds plain keys and values of all tokens."""
    return isinstance(cache, Cache) and all(type(layer) is DynamicLayer for layer in cache.layers)


def fork(cache: Cache) -> Cache:
    """A cache that can be gone on from; the one given stays as it is, its tensors are shared until then."""
    forked = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    return forked


def _selected(cache: Cache, rows: torch.Tensor) -> Cache:
    chosen = fork(cache)
    chosen.batch_select_indices(rows)
    return chosen
