"""Selective prediction against its definitions written out: every order of equal confidences, and every threshold."""

from __future__ import annotations

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finer_tasks.scoring.selective import (
    RiskCoverage,
    area_under,
    aurc,
    back_off,
    back_off_curve,
    coverage_at,
    excess_aurc,
    risk_coverage,
)
from finer_tasks.statistics.bootstrap import Bootstrap
from finer_tasks.statistics.clusters import Clusters

ANSWERS = st.lists(st.tuples(st.sampled_from([-math.inf, 0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6)


def literal_aurc(answers: list[tuple[float, bool]]) -> float:
    """The mean over all orders in which confidence does not rise of the mean over k of the risk of the first k."""
    orders = [o for o in itertools.permutations(answers) if all(a[0] >= b[0] for a, b in itertools.pairwise(o))]
    return fmean(fmean(sum(not right for _, right in order[:k]) / k for k in range(1, len(order) + 1)) for order in orders)


@given(ANSWERS)
@settings(max_examples=60, deadline=None)
def test_the_area_is_the_mean_over_all_orders_of_equal_confidences(answers: list[tuple[float, bool]]) -> None:
    confidence, right = zip(*answers, strict=True)
    assert aurc(confidence, right) == pytest.approx(literal_aurc(answers), abs=1e-12)
    best = literal_aurc([(float(mark), mark) for mark in right])
    assert excess_aurc(confidence, right) == pytest.approx(literal_aurc(answers) - best, abs=1e-12)
    weights = np.arange(len(right), dtype=float)[::-1] + (len(right) == 1)
    repeated = [one for one, weight in zip(answers, weights, strict=True) for _ in range(int(weight))]
    assert aurc(confidence, right, weights) == pytest.approx(aurc(*zip(*repeated, strict=True)), abs=1e-12)


def test_a_curve_worked_by_hand() -> None:
    curve = risk_coverage([0.9, 0.8, 0.8, 0.1], [True, False, True, False])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.1]
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 3, 1 / 2])
    assert aurc([0.9, 0.8, 0.8, 0.1], [1, 0, 1, 0]) == pytest.approx((0 + (1 / 2 * 1 / 2) + 1 / 3 + 1 / 2) / 4)
    assert (coverage_at(curve, 0.0), coverage_at(curve, 0.4), coverage_at(curve, 1.0)) == (0.25, 0.75, 1.0)
    assert coverage_at(risk_coverage([0.5], [False]), 0.5) == 0.0


LEVELS = st.tuples(*[st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9]), st.booleans())] * 3)


@given(st.lists(LEVELS, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_backing_off_at_every_threshold(documents: list[tuple[tuple[float, bool], ...]]) -> None:
    confidence = [[sure for sure, _ in levels] for levels in documents]
    right = [[mark for _, mark in levels] for levels in documents]
    curve = back_off_curve(confidence, right)
    seen: dict[tuple[int, ...], tuple[float, float]] = {}
    for threshold in sorted({sure for levels in confidence for sure in levels}, reverse=True):
        answered = [max((j + 1 for j in range(3) if levels[j] >= threshold), default=0) for levels in confidence]
        assert back_off(confidence, threshold).tolist() == answered
        given_ = [marks[level - 1] for level, marks in zip(answered, right, strict=True) if level]
        seen.setdefault(tuple(answered), (sum(answered) / (3 * len(answered)), 1 - fmean(given_)))
    assert curve.coverage == pytest.approx([coverage for coverage, _ in seen.values()])
    assert curve.risk == pytest.approx([risk for _, risk in seen.values()])
    assert curve.coverage[-1] == pytest.approx(1.0)


def test_the_area_under_a_back_off_curve_worked_by_hand() -> None:
    curve = RiskCoverage(np.array([0.9, 0.5]), np.array([0.5, 1.0]), np.array([0.2, 0.4]))
    assert area_under(curve) == pytest.approx(0.5 * 0.2 + 0.5 * 0.3)


def test_intervals_draw_whole_concepts() -> None:
    confidence, right = np.linspace(1, 0, 12), np.arange(12) % 3 != 0
    same = Bootstrap(Clusters.of(["a"] * 12), 0).statistic(lambda weights: aurc(confidence, right, weights))
    assert same.value == pytest.approx(aurc(confidence, right))
    assert same.low == pytest.approx(same.high)
    apart = Bootstrap(Clusters.of([str(i // 2) for i in range(12)]), 0).statistic(lambda w: aurc(confidence, right, w))
    assert apart.low < apart.value < apart.high


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], r"shape \(0,\)"),
        ([0.1], [True, False], r"shape \(1,\) and marks of shape \(2,\)"),
        ([0.1, math.nan], [True, True], "confidence of document 1 is no number"),
    ],
)
def test_what_does_not_belong_together_is_refused(confidence: list[float], right: list[bool], message: str) -> None:
    for figure in (aurc, risk_coverage):
        with pytest.raises(ValueError, match=message):
            figure(confidence, right)
