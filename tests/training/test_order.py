"""In which order conversations come, and which documents stand for all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from finer_tasks.training.tuning.evaluation import spread_over
from finer_tasks.training.tuning.lengths import GroupedOrder


def test_the_order_depends_on_seed_and_epoch_alone_and_keeps_every_sample() -> None:
    lengths = list(range(103))
    order = GroupedOrder(lengths, 8, 0, True)
    first = list(order)
    assert first == list(order)
    assert sorted(first) == lengths
    assert first[0] == 102
    order.set_epoch(1)
    assert list(order) != first


def test_the_longest_conversation_comes_in_the_first_batch_whatever_is_left_over() -> None:
    for size in (7, 8, 9, 401, 403, 799, 805):  # 400 fill a stretch
        for seed in range(30):
            lengths = np.random.default_rng(seed).permutation(size)
            order = list(GroupedOrder(lengths, 8, seed, True))
            assert sorted(order) == list(range(size))
            assert max(lengths[order[:8]]) == size - 1


def test_documents_are_spread_over_all_and_are_as_many_as_asked_for() -> None:
    chosen = spread_over(5794, 3000)
    assert len(set(chosen)) == 3000
    assert (chosen[0], chosen[-1]) == (0, 5792)
    assert max(after - before for before, after in pairwise(chosen)) == 2
    assert spread_over(5, 8) == [0, 1, 2, 3, 4]
