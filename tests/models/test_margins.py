"""The least margin of a reply is the smallest difference of the two best logits over its own tokens."""

from __future__ import annotations

import torch

from finer_tasks.models.margins import Margins


def test_margins_stand_as_they_are_and_tokens_behind_the_end_do_not_count() -> None:
    margins, ids = Margins(), torch.zeros((2, 1), dtype=torch.long)
    steps = [[[5.0, 1.0, 3.0], [0.0, 0.5, 0.0]], [[1.0, 1.25, 0.0], [9.0, 9.0, 0.0]]]
    for step in steps:
        scores = torch.tensor(step)
        assert margins(ids, scores) is scores  # type: ignore[arg-type]
    assert margins.least([2, 1]) == [0.25, 0.5]
    assert margins.least([1, 2]) == [2.0, 0.0]


def test_without_steps_there_is_none() -> None:
    assert Margins().least([3]) == [None]
