"""The tests' error rates by simulation, and their limits by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finer_tasks.results.gate.statistics import by_concept, compare, detectable_drop, holm, interval, mcnemar, sign_flip
from tests.results.gate.simulated import scores

ALPHA, RUNS = 0.05, 300


def test_exact_values() -> None:
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == 1.0
    assert sign_flip(np.array([-1.0, -2.0, -1.0, 0.0]), 0) == pytest.approx(1 / 8)
    assert sign_flip(np.zeros(9), 0) == 1.0
    assert holm([0.01, 0.04, 0.03], 0.05) == pytest.approx([0.03, 0.06, 0.06])


def test_documents_of_few_concepts_do_not_count_as_many() -> None:
    """Ten documents of one concept that turn wrong together are one piece of evidence, whatever McNemar says."""
    before, after = np.ones(40), np.concatenate([np.zeros(10), np.ones(30)])
    found = compare(before, after, [str(n // 10) for n in range(40)], ALPHA, 0.8, 0)
    assert found.p_mcnemar is not None
    assert found.p_mcnemar < 0.001
    assert found.p == found.p_sign_flip == pytest.approx(0.5)


def test_nothing_changed_among_few_documents_shows_little() -> None:
    found = compare(np.ones(20), np.ones(20), [str(n) for n in range(20)], ALPHA, 0.8, 0)
    assert found.low < -0.05
    assert found.detectable >= 5 / 20


@pytest.mark.slow
@pytest.mark.parametrize(("concepts", "per_concept", "spread"), [(100, 20, 0.1), (40, 50, 0.1)])
def test_false_alarms_stay_below_alpha(concepts: int, per_concept: int, spread: float) -> None:
    rng = np.random.default_rng(1)
    alarms = sum(
        compare(*scores(rng, concepts, per_concept, 0.0, spread), ALPHA, 0.8, run).p <= ALPHA for run in range(RUNS)
    )  # fmt: skip
    assert alarms / RUNS <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.slow
@pytest.mark.parametrize(("concepts", "per_concept"), [(100, 20), (40, 50)])
def test_intervals_cover_the_true_difference_with_clustered_documents(concepts: int, per_concept: int) -> None:
    rng, drop, inside = np.random.default_rng(2), 0.03, 0
    for run in range(RUNS):
        before, after, names = scores(rng, concepts, per_concept, drop)
        differences = after - before
        low, high = interval(differences, *by_concept(differences, names), ALPHA, run)
        inside += low <= -drop <= high
    nominal = 1 - 2 * ALPHA
    assert inside / RUNS >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / RUNS)


@pytest.mark.slow
def test_power_is_what_the_detectable_drop_states() -> None:
    rng = np.random.default_rng(3)
    pilot = [scores(rng, 100, 20, 0.02) for _ in range(30)]
    stated = float(np.mean([detectable_drop(a - b, by_concept(a - b, n)[0], ALPHA, 0.8) for b, a, n in pilot]))
    found = sum(compare(*scores(rng, 100, 20, stated), ALPHA, 0.8, run).p <= ALPHA for run in range(RUNS)) / RUNS
    assert 0.8 - 3 * math.sqrt(0.8 * 0.2 / RUNS) <= found <= 0.8 + 3 * math.sqrt(0.8 * 0.2 / RUNS)
