"""How likely a model holds a given continuation to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from finer_tasks.models.generation import Generator


@torch.inference_mode()
def score_continuations(generator: Generator, inputs: Any, continuations: Sequence[Sequence[int]]) -> list[tuple[float, bool]]:
    """By row: the mean negative log-likelihood of a continuation's tokens, and whether greedy decoding gives it.

    `inputs` are encoded prompts, left-padded.
    """
    inputs, device = generator.on_device(inputs), generator.device
    rows, width = len(continuations), max(len(ids) for ids in continuations)
    added = torch.full((rows, width), generator.tokenizer.pad_token_id, device=device)
    present = torch.zeros((rows, width), dtype=inputs["attention_mask"].dtype, device=device)
    for row, ids in enumerate(continuations):
        added[row, : len(ids)] = torch.tensor(ids, device=device)
        present[row, : len(ids)] = 1
    start = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], added], dim=1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], present], dim=1)
    for key in ("token_type_ids", "mm_token_type_ids"):
        inputs.pop(key, None)
    logits = generator.model(**inputs).logits[:, start - 1 : -1].float()
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), added, reduction="none") * present
    greedy = ((logits.argmax(-1) == added) | (present == 0)).all(1)
    return [(float(loss.sum() / keep.sum()), bool(same)) for loss, keep, same in zip(losses, present, greedy, strict=True)]
