"""Conversations in one row instead of padded rows: no token of padding goes through the model.

Positions start anew with each conversation. Where a batch has positions and no attention mask, transformers keeps what stands
between two starts to itself: SDPA and eager attention get a mask in blocks, FlashAttention the lengths. Image features go to
the image tokens in the order of both, which packing leaves as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from finer_tasks.models.prefix import BRANCHES
from finer_tasks.training.errors import TrainingError

# Tensors of shape (conversations, length).
_BY_TOKEN = ("input_ids", "labels", "token_type_ids", "mm_token_type_ids")


def require_packable(model_type: str) -> None:
    """Raise TrainingError for a model whose conversations cannot stand in one row.

    Those whose cache can be branched can: a token's position is a plain count, and it sees what stands before it.
    """
    if model_type not in BRANCHES:
        raise TrainingError(
            f"packing=true is not right for models of type {model_type}: it takes plain positions and causal attention, as "
            f"those of {', '.join(sorted(BRANCHES))} are. Leave out packing"
        )


def pack(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Right-padded rows of shape (conversations, length) as one row of shape (1, tokens), with position_ids and no mask."""
    kept = inputs["attention_mask"].bool()
    packed = {key: value for key, value in inputs.items() if key not in _BY_TOKEN and key != "attention_mask"}
    packed |= {key: inputs[key][kept].unsqueeze(0) for key in _BY_TOKEN if key in inputs}
    positions = torch.arange(kept.shape[1]).expand(kept.shape)
    return {**packed, "position_ids": positions[kept].unsqueeze(0)}


def lengths_of(inputs: Mapping[str, Any]) -> torch.Tensor:
    """Tokens of each conversation of a batch, packed or padded; shape (conversations,)."""
    if "attention_mask" in inputs:
        return torch.as_tensor(inputs["attention_mask"]).sum(1)
    positions = inputs["position_ids"][0]
    starts = (positions == 0).nonzero().flatten()
    return torch.diff(starts, append=starts.new_tensor([len(positions)]))
