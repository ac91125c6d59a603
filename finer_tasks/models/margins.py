"""How narrowly greedy decoding chose its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor


class Margins(LogitsProcessor):
    """Watches the logits of shape (rows, vocabulary) of every step and leaves them as they are."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        best = scores.topk(2, dim=-1).values.float()
        self.steps.append(best[:, 0] - best[:, 1])
        return scores

    def least(self, lengths: Sequence[int]) -> list[float | None]:
        """The smallest margin among the first tokens of each row; None where no step was watched."""
        if not self.steps:
            return [None] * len(lengths)
        margins = torch.stack(self.steps, dim=1).tolist()
        return [min(row[:length], default=None) for row, length in zip(margins, lengths, strict=True)]
