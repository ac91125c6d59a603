"""What counts as lost, gained and kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from finer_tasks.errors import ResultsError
from finer_tasks.models.perplexity import TextLoss
from finer_tasks.retention.comparison import curves, of_task, of_texts
from finer_tasks.retention.scores import Scores
from finer_tasks.retention.states import AFTER, BEFORE, State

STATES = [State(BEFORE, 0, ""), State(AFTER, 6, "")]
HALF = np.arange(200) % 2 == 0


def scores(values: np.ndarray, metric: str = "exact_match", higher: bool = True) -> Scores:
    """Of 200 documents in 100 clusters."""
    ids = tuple(map(str, range(len(values))))
    clusters = tuple(str(number // 2) for number in range(len(values)))
    return Scores("theirs", metric, higher, "", ids, ids, clusters, ids, values.astype(float))


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(HALF & (np.arange(200) % 8 > 0), "lost"), (HALF | (np.arange(200) % 8 == 1), "gained"), (HALF, "kept")],
)
def test_a_planted_change_is_found(after: np.ndarray, outcome: str) -> None:
    (curve,) = curves([of_task({BEFORE: scores(HALF), AFTER: scores(after)}, "retained")], STATES, 0.05)
    first, last = curve.points
    assert first.change is None
    assert last.change is not None
    assert last.change.outcome == outcome
    assert last.change.difference == pytest.approx(last.value - first.value)
    assert (curve.documents, curve.clusters) == (200, 100)


def test_of_an_error_rate_more_is_worse_and_shown_as_it_is() -> None:
    before, after = scores(~HALF, "error", higher=False), scores(np.ones(200), "error", higher=False)
    (curve,) = curves([of_task({BEFORE: before, AFTER: after}, "retained")], STATES, 0.05)
    change = curve.points[1].change
    assert change is not None
    assert (curve.points[0].value, curve.points[1].value) == (0.5, 1.0)
    assert (change.outcome, change.difference, change.worse) == ("lost", -0.5, 100)


def test_few_documents_that_stay_as_they_were_are_not_called_kept() -> None:
    few = scores(np.ones(4))
    (curve,) = curves([of_task({BEFORE: few, AFTER: few}, "retained")], STATES, 0.02)
    assert curve.points[1].change is not None
    assert curve.points[1].change.outcome == "not clear"


def test_intervals_of_measures_beyond_shares_have_no_bounds() -> None:
    """Where all texts change alike by two bits, the interval is as narrow as that, and no change is kept."""
    before = [TextLoss(10.0 * size, size, size) for size in range(20, 40)]
    after = [replace(loss, nats=loss.nats + 2 * math.log(2) * loss.bytes) for loss in before]
    (same, worse) = (curves([of_texts("t", {BEFORE: before, AFTER: now})], STATES, 0.02)[0] for now in (before, after))
    assert same.points[1].change is not None
    assert worse.points[1].change is not None
    assert same.points[1].change.outcome == "kept"
    change = worse.points[1].change
    assert change.low < change.difference < change.high < -1
    assert change.difference == pytest.approx(-2)
    one = [replace(scores(100 * HALF), clusters=("a",) * 200) for _ in range(2)]
    (curve,) = curves([of_task({BEFORE: one[0], AFTER: one[1]}, "retained")], STATES, 0.02)
    assert curve.points[1].change is not None
    assert (curve.points[1].change.low, curve.points[1].change.outcome) == (-math.inf, "not clear")


def test_states_with_numbers_for_other_metrics_are_not_compared() -> None:
    with pytest.raises(ResultsError, match="a number for f1 in after, and for exact_match in before"):
        of_task({BEFORE: scores(HALF), AFTER: scores(HALF, "f1")}, "retained")


def test_texts_are_weighted_by_tokens_and_bytes() -> None:
    before = [TextLoss(10.0, 5, 40), TextLoss(90.0, 45, 120)]
    after = [TextLoss(12.0, 5, 40), TextLoss(98.0, 45, 120)]
    (curve,) = curves([of_texts("t", {BEFORE: before, AFTER: after})], STATES, 0.02)
    first, last = curve.points
    assert first.perplexity == pytest.approx(math.exp(100 / 50))
    assert first.value == pytest.approx(100 / math.log(2) / 160)
    assert last.value == pytest.approx(110 / math.log(2) / 160)
    assert last.change is not None
    assert (last.change.worse, last.change.difference) == (2, pytest.approx(-10 / math.log(2) / 160))


def test_states_that_were_not_asked_the_same_are_refused() -> None:
    one = scores(HALF)
    other = replace(one, contents=("another question", *one.contents[1:]))
    with pytest.raises(ResultsError, match="theirs: after and before were not asked the same, for example 0"):
        of_task({BEFORE: one, AFTER: other}, "retained")
    with pytest.raises(ResultsError, match="theirs: its data, prompts or version were others for after than for before"):
        of_task({BEFORE: one, AFTER: replace(one, identity="prompts of another set")}, "retained")
    with pytest.raises(ResultsError, match="no text has a token that something stands before"):
        of_texts("t", {BEFORE: [TextLoss(0.0, 0, 1)]})
