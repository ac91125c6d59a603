"""How likely a model holds a given reply to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from finer_tasks.models.generation import Generator


@torch.inference_mode()
def score_replies(generator: Generator, inputs: Any, replies: Sequence[Sequence[int]]) -> list[tuple[float, bool]]:
    """By row: the mean negative log-likelihood of a reply's tokens and of its end, and whether greedy decoding gives it.

    `inputs` are encoded prompts, left-padded; `replies` have no end token. Any token that ends a reply will do as its end.
    """
    inputs, device, ends = generator.on_device(inputs), generator.device, generator.ends
    rows, width = len(replies), max(len(ids) for ids in replies)
    added = torch.full((rows, width), generator.tokenizer.pad_token_id, device=device)
    present = torch.zeros((rows, width), dtype=inputs["attention_mask"].dtype, device=device)
    for row, ids in enumerate(replies):
        added[row, : len(ids)] = torch.tensor(ids, device=device)
        present[row, : len(ids)] = 1
    start = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], added], dim=1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], present], dim=1)
    for key in ("token_type_ids", "mm_token_type_ids"):
        inputs.pop(key, None)
    logits = generator.model(**inputs).logits[:, start - 1 :].float()
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), added, reduction="none") * present
    lengths = present.sum(1)
    last = logits[torch.arange(rows, device=device), lengths]
    total = losses.sum(1) + last.logsumexp(-1) - last[:, ends].logsumexp(-1)
    greedy = ((logits[:, :-1].argmax(-1) == added) | (present == 0)).all(1)
    greedy &= torch.isin(last.argmax(-1), torch.tensor(ends, device=device))
    return list(zip((total / (lengths + 1)).tolist(), greedy.tolist(), strict=True))
