"""The tests' error rates by simulation, and their limits by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finer_tasks.statistics.clusters import Clusters
from finer_tasks.statistics.paired import Demand, compare, holm, interval, mcnemar, sign_flip
from finer_tasks.statistics.power import detectable_drop, noise_of, sign_flip_p
from tests.simulated import scores, sizes_of

ALPHA, RUNS = 0.05, 200


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
    found = compare(before, after, [str(n // 10) for n in range(40)], Demand(ALPHA, 0.8), 0)
    assert found.p_mcnemar is not None
    assert found.p_mcnemar < 0.001
    assert found.p == found.p_sign_flip == pytest.approx(0.5)


def test_nothing_changed_among_few_documents_shows_little() -> None:
    found = compare(np.ones(20), np.ones(20), [str(n) for n in range(20)], Demand(ALPHA, 0.8), 0)
    assert found.low < -0.05
    assert found.detectable is not None
    assert found.detectable >= 5 / 20


def test_the_simulated_sign_flips_are_those_of_the_test() -> None:
    rng = np.random.default_rng(0)
    for concepts, tolerance in ((4, 1e-9), (8, 1e-9), (14, 0.01), (60, 0.01)):
        sums = rng.normal(-0.5, 2, concepts)
        assert sign_flip_p(sums[None])[0] == pytest.approx(sign_flip(sums, 0), abs=tolerance)


@pytest.mark.parametrize(("concepts", "tests"), [(1, 1), (3, 1), (4, 1), (5, 2), (7, 10)])
def test_too_few_concepts_show_no_drop(concepts: int, tests: int) -> None:
    """k signs all alike have the chance 2^-k, which must not be above alpha / tests."""
    before, after, names = scores(np.random.default_rng(0), sizes_of("equal", concepts, 1000), 0.1)
    assert compare(before, after, names, Demand(ALPHA, 0.8, tests), 0).detectable is None


def test_what_a_baseline_has_no_room_for_cannot_be_found() -> None:
    rng = np.random.default_rng(0)
    before = (rng.random(400) < 0.01).astype(float)
    assert compare(before, before, [str(n % 40) for n in range(400)], Demand(ALPHA, 0.8), 0).detectable is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "zipf", "one big"])
def test_false_alarms_stay_below_alpha(kind: str) -> None:
    rng, sizes = np.random.default_rng(1), sizes_of(kind, 40, 2000)
    alarms = sum(alarm(scores(rng, sizes, 0.0), ALPHA) for _ in range(RUNS))
    assert alarms / RUNS <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "zipf", "one big"])
@pytest.mark.parametrize("concepts", [3, 6, 10, 100])
def test_a_drop_as_large_as_the_margin_passes_as_seldom_as_stated(kind: str, concepts: int) -> None:
    rng, sizes, drop = np.random.default_rng(7), sizes_of(kind, concepts, 2000), 0.03
    passed = 0
    for run in range(RUNS):
        before, after, names = scores(rng, sizes, drop, 0.05)
        differences = after - before
        passed += interval(differences, Clusters.of(names), ALPHA, run)[0] > -drop
    assert passed / RUNS <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "concepts"), [("equal", 100), ("equal", 40)])
def test_intervals_cover_the_true_difference_with_clustered_documents(kind: str, concepts: int) -> None:
    rng, sizes, drop, inside = np.random.default_rng(2), sizes_of(kind, concepts, 2000), 0.03, 0
    for run in range(RUNS):
        before, after, names = scores(rng, sizes, drop)
        differences = after - before
        low, high = interval(differences, Clusters.of(names), ALPHA, run)
        inside += low <= -drop <= high
    nominal = 1 - 2 * ALPHA
    assert inside / RUNS >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "zipf", "one big"])
@pytest.mark.parametrize(("concepts", "tests"), [(5, 1), (10, 1), (10, 10), (30, 3), (200, 10)])
def test_power_is_what_the_detectable_drop_states(kind: str, concepts: int, tests: int) -> None:
    """The drop stated for a run, planted in others like it, is found at least as often as stated."""
    rng, sizes, found = np.random.default_rng(3), sizes_of(kind, concepts, 2000), []
    for run in range(20):
        before, after, names = scores(rng, sizes, 0.02, 0.05)
        noise = noise_of(before, after, Clusters.of(names), binary=True)
        stated = detectable_drop(noise, ALPHA / tests, 0.8, seed=run)
        assert stated is not None
        found += [alarm(scores(rng, sizes, stated, 0.05), ALPHA / tests) for _ in range(20)]
    assert np.mean(found) >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / 100)  # runs of one statement are not independent
    assert np.mean(found) < 0.98 or kind == "one big"  # nor is the statement so careful that it says nothing


def alarm(drawn: tuple[np.ndarray, np.ndarray, list[str]], alpha: float) -> bool:
    """Whether the two tests together find a drop, the sign flips by their fast form."""
    before, after, names = drawn
    sums = Clusters.of(names).sums(after - before)
    p_mcnemar = mcnemar(int((after < before).sum()), int((after > before).sum()))
    return max(p_mcnemar, float(sign_flip_p(sums[None])[0])) <= alpha
