"""Position bias of choices made by hand and of simulated models."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finer_tasks.statistics.positions import position_bias


def simulated(
    documents: int, accuracy: float, bias: float, seed: int, options: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choices of a model that takes the first option whatever it is with probability `bias`."""
    draw = np.random.default_rng(seed)
    right = np.arange(documents) % options
    wrong = (right + draw.integers(1, options, documents)) % options
    chosen = np.where(draw.random(documents) < accuracy, right, wrong)
    return right, np.where(draw.random(documents) < bias, 0, chosen), np.full(documents, options)


def test_counts_by_hand() -> None:
    right, chosen = np.array([0, 0, 1, 1]), np.array([0, 1, 1, -1])
    found = position_bias(right, chosen, np.full(4, 2))
    first, second = found.positions
    assert (first.right_here, first.accuracy, second.accuracy) == (2, 0.5, 0.5)
    assert (first.chosen, second.chosen) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    # Of the three that choose, two are right: 2/3 + 2/3 + 1/3 at the first, 1/3 + 1/3 + 2/3 at the second.
    assert (first.expected, second.expected) == (pytest.approx(5 / 9), pytest.approx(4 / 9))
    assert found.spread == 0


def test_a_model_without_a_bias_is_seldom_said_to_have_one() -> None:
    found = [position_bias(*simulated(400, 0.6, 0.0, seed)) for seed in range(200)]
    assert sum(one.accuracy_p < 0.05 for one in found) <= 20
    assert sum(one.chosen_p < 0.05 for one in found) <= 20


def test_a_model_that_likes_the_first_option_is_found() -> None:
    found = position_bias(*simulated(4000, 0.6, 0.3, 0))
    assert found.chosen_p < 1e-6
    assert found.accuracy_p < 1e-6
    assert found.positions[0].accuracy > found.positions[1].high
    assert found.positions[0].chosen > found.positions[0].expected + 0.1


def test_where_there_is_nothing_to_test_there_is_no_p() -> None:
    right = np.arange(8) % 4
    perfect = position_bias(right, right, np.full(8, 4))
    assert math.isnan(perfect.accuracy_p)
    assert perfect.chosen_p == pytest.approx(1)
    silent = position_bias(right, np.full(8, -1), np.full(8, 4))
    assert math.isnan(silent.chosen_p)
    assert [position.chosen for position in silent.positions] == [0, 0, 0, 0]


def test_a_part_of_a_split_may_lack_a_position() -> None:
    found = position_bias(np.array([0, 0, 2]), np.array([0, 2, 2]), np.full(3, 4))
    assert math.isnan(found.positions[1].accuracy)
    assert found.positions[1].expected > 0
    assert not math.isnan(found.spread)
