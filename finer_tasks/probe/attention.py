"""A linear probe on features pooled by attention that is learnt with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from finer_tasks.probe.store import Rows, Values

# A number of steps and not of epochs, since a query learnt from a few images of each concept needs many.
STEPS, _BATCH, _RATE, _DECAY = 1000, 64, 3e-3, 1e-2

# Features of some documents, shape (documents, positions, width); they are too large to be kept in memory.
Read = Callable[[Rows], Values]


class AttentionProbe(nn.Module):
    """One query scores the positions of an image; the mean weighted by its softmax goes to a linear layer."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, classes: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.query = nn.Linear(width, 1, bias=False)
        self.head = nn.Linear(width, classes)
        # From here the pooling is the mean, and the query departs from it as far as that helps.
        nn.init.zeros_(self.query.weight)

    def forward(self, positions: Tensor) -> Tensor:
        scaled = (positions - self.mean) / self.spread
        weights = self.query(scaled).softmax(dim=1)
        scores: Tensor = self.head((weights * scaled).sum(dim=1))
        return scores


def attention_scores(train: Read, rows: Rows, labels: Tensor, test: Read, test_rows: Rows, classes: int, seed: int) -> Tensor:
    """Scores of the test rows, shape (rows, classes), by a probe that was trained on the train rows.

    Positions are standardised by their mean and spread in train.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mean, spread = _moments(train, rows)
        probe = AttentionProbe(len(mean), classes, mean, spread).to(labels.device)
        descent = torch.optim.AdamW(probe.parameters(), lr=_RATE, weight_decay=_DECAY)
        slowing = torch.optim.lr_scheduler.CosineAnnealingLR(descent, STEPS)
        for batch in islice(_shuffled(len(rows)), STEPS):
            descent.zero_grad()
            scores = probe(torch.from_numpy(train(rows[batch.numpy()])).to(labels.device))
            functional.cross_entropy(scores, labels[batch]).backward()
            descent.step()
            slowing.step()
    with torch.inference_mode():
        blocks = [probe(torch.from_numpy(test(block)).to(labels.device)) for block in _blocks(test_rows)]
        return torch.cat(blocks)


def _shuffled(documents: int) -> Iterator[Tensor]:
    """Batches of documents in random order, without end; those of a batch in the order in which they are read fastest."""
    while True:
        for batch in torch.randperm(documents).split(_BATCH):
            yield batch.sort().values


def _moments(read: Read, rows: Rows) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over all positions."""
    count, total, squares = 0, 0.0, 0.0
    for block in _blocks(rows):
        values = read(block).astype(np.float64)
        count += values.shape[0] * values.shape[1]
        total, squares = total + values.sum((0, 1)), squares + (values**2).sum((0, 1))
    mean = np.asarray(total) / count
    spread = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 1e-12))
    return torch.from_numpy(mean).float(), torch.from_numpy(spread).float()


def _blocks(rows: Rows) -> list[Rows]:
    return np.array_split(rows, max(1, -(-len(rows) // _BATCH)))
