"""What a linear probe reads from the image tokens before and after a projector, by the protocol of `finer probe`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from finer_tasks.probe.controls import held_out
from finer_tasks.probe.fitting import linear_choice
from finer_tasks.training.ablation.features import Features

_BATCH = 64


def probe(module: Any, train: Features, test: Features, layers: Sequence[int], seed: int) -> dict[str, Any]:
    """Whether the concept of each test image is named from the mean of what a module makes of its patches.

    Test images of concepts without a train image are left out.
    """
    concepts = [str(document["concept_id"]) for document in train.documents]
    number = {name: index for index, name in enumerate(sorted(set(concepts)))}
    rows = [row for row, document in enumerate(test.documents) if document["concept_id"] in number]
    shown = [test.documents[row] for row in rows]
    fitted, asked = _pooled(module, train, layers, range(len(concepts))), _pooled(module, test, layers, rows)
    labels = torch.tensor([number[name] for name in concepts])
    chosen, decay = linear_choice(fitted, labels, torch.from_numpy(held_out(concepts, seed)), asked)
    truth = torch.tensor([number[document["concept_id"]] for document in shown])
    return {
        "ids": [document["id"] for document in shown],
        "concepts": [document["concept_id"] for document in shown],
        "right": (chosen == truth).tolist(),
        "weight_decay": decay,
    }


@torch.no_grad()
def _pooled(module: Any, features: Features, layers: Sequence[int], rows: Sequence[int]) -> torch.Tensor:
    """Mean over the image tokens, shape (rows, width)."""
    batches = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
    return torch.cat([module(features.of(layers, batch)).mean(1) for batch in batches])
