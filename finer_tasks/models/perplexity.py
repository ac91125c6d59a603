"""How well a model predicts texts, without an image: the sum of its losses on the tokens of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from finer_tasks.errors import ModelError, typed


@dataclass(frozen=True)
class TextLoss:
    """Of one text: the sum of the negative log-likelihoods in nats, and over how many tokens and bytes."""

    nats: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class _Window:
    """Ids of a piece of a text; those from `scored` on count."""

    text: int
    ids: list[int]
    scored: int


@torch.inference_mode()
def text_losses(model: Any, tokenizer: Any, texts: Sequence[str], window: int, batch_size: int) -> list[TextLoss]:
    """Each token once, after at least half a window of what stands before it, or all of that.

    The beginning-of-sequence token stands before a text where there is one; without it the first token is context alone
    and not counted. Raises ModelError where the model takes no text without an image.
    """
    pieces = [
        piece for number, text in enumerate(texts) for piece in _windows(number, text, tokenizer, _longest(model, window))
    ]
    pieces.sort(key=lambda piece: -len(piece.ids))
    nats, tokens = [0.0] * len(texts), [0] * len(texts)
    for start in tqdm(range(0, len(pieces), batch_size), desc="texts", mininterval=5):
        batch = pieces[start : start + batch_size]
        for piece, losses in zip(batch, _losses(model, tokenizer, batch), strict=True):
            nats[piece.text] += float(losses.double().sum())
            tokens[piece.text] += len(losses)
    return [TextLoss(n, t, len(text.encode())) for n, t, text in zip(nats, tokens, texts, strict=True)]


def _longest(model: Any, window: int) -> int:
    """The window, or as many tokens as the model has places for."""
    config = model.config.get_text_config()
    return min(window, int(getattr(config, "max_position_embeddings", window) or window))


def _windows(number: int, text: str, tokenizer: Any, window: int) -> Iterator[_Window]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id, *ids]
    done = 1
    while done < len(ids):
        start = 0 if done == 1 else done - window // 2
        end = min(len(ids), start + window)
        yield _Window(number, ids[start:end], done - start)
        done = end


def _losses(model: Any, tokenizer: Any, batch: Sequence[_Window]) -> list[torch.Tensor]:
    width, device = max(len(piece.ids) for piece in batch), model.get_input_embeddings().weight.device
    pad = tokenizer.pad_token_id
    ids = torch.tensor([piece.ids + [pad] * (width - len(piece.ids)) for piece in batch], device=device)
    mask = torch.tensor([[1] * len(piece.ids) + [0] * (width - len(piece.ids)) for piece in batch], device=device)
    try:
        logits = model(input_ids=ids, attention_mask=mask).logits
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the model takes no text without an image ({typed(error)}), so that its perplexity on texts is not known. "
            "Leave out --texts"
        ) from error
    return [
        functional.cross_entropy(
            row[piece.scored - 1 : len(piece.ids) - 1].float(),
            torch.tensor(piece.ids[piece.scored :], device=device),
            reduction="none",
        )
        for row, piece in zip(logits, batch, strict=True)
    ]
