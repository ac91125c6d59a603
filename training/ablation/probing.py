"""What a linear probe reads from the image tokens before and after a projector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from finer_tasks.training.ablation.features import Features
from finer_tasks.training.reproduce.stages import ridge

PLACES = ("encoder", "projector")
_BATCH = 64


@torch.inference_mode()
def probe(projector: Any, train: Features, test: Features, layers: Sequence[int]) -> dict[str, Any]:
    """Whether the concept of each test image is named from the mean of its image tokens, by place; and their ids and concepts.

    Test images of concepts without a train image are left out.
    """
    names = sorted({document["concept_id"] for document in train.documents})
    number = {name: index for index, name in enumerate(names)}
    rows = [row for row, document in enumerate(test.documents) if document["concept_id"] in number]
    labels = torch.tensor([number[document["concept_id"]] for document in train.documents])
    shown = [test.documents[row] for row in rows]
    truth = torch.tensor([number[document["concept_id"]] for document in shown])
    found: dict[str, Any] = {"ids": [d["id"] for d in shown], "concepts": [d["concept_id"] for d in shown]}
    for place, module in zip(PLACES, (torch.nn.Identity(), projector), strict=True):
        fitted = _pooled(module, train, layers, range(len(labels)))
        found[place] = (ridge(fitted, labels, _pooled(module, test, layers, rows)) == truth).tolist()
    return found


def _pooled(module: Any, features: Features, layers: Sequence[int], rows: Sequence[int]) -> torch.Tensor:
    """Mean over the image tokens, shape (rows, width)."""
    batches = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
    return torch.cat([module(features.of(layers, batch)).mean(1) for batch in batches])
