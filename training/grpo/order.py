"""The order of questions, each repeated for a group of answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class GroupOrder(Sampler[int]):
    """As TRL's RepeatSampler, with an order that depends on seed and epoch alone, so that a resumed run asks the same.

    TRL's draws its epochs one after the other from one generator: resumed in its second epoch, a run would begin at the first
    epoch's order again. Every stretch of `questions` is given `repeats` times over, each question `group` times in a row.
    """

    def __init__(self, size: int, questions: int, group: int, repeats: int, seed: int) -> None:
        self.size, self.questions, self.group, self.repeats, self.seed = size, questions, group, repeats, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.questions * self.questions * self.group * self.repeats

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        whole = self.size // self.questions * self.questions
        for stretch in order[:whole].reshape(-1, self.questions):
            yield from np.tile(stretch.repeat(self.group), self.repeats).tolist()
