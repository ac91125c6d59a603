"""Closed-set figures of hand-made numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finer_tasks.scoring.candidates import Candidates, candidates_of
from finer_tasks.scoring.closed import (
    calibration_error,
    closed_items,
    losses,
    pack,
    rank_concepts,
    rankings,
    right_concepts,
    unpack,
)

DOC = {
    "id": "x/test/1", "superordinate": "Bird", "coarse": ["Grackle", "Blackbird"], "fine": ["B"], "concept_id": "b",
    "class_id": "1",
}  # fmt: skip


def test_a_concept_scores_as_its_best_name_and_a_shared_name_tells_no_concept() -> None:
    candidates = Candidates.of({"a": ["A", "family"], "b": ["B", "beta", "family"], "c": ["family"]})
    assert candidates.names == ("A", "B", "beta", "family")
    assert candidates.best(np.array([-3.0, -9.0, -2.0, -1.0])).tolist() == [-3.0, -2.0, -1.0]


def test_rank_choice_and_confidence() -> None:
    candidates = Candidates.of({key: [key] for key in "abcdef"})
    found = rank_concepts(np.log([0.1, 0.2, 0.4, 0.2, 0.05, 0.05]), candidates, {"b"})
    assert found.rank == 2.5  # one above, one as good
    assert [key for key, _ in found.top] == ["c", "b", "d", "a", "e"]
    assert found.confidence == pytest.approx(0.4)
    assert math.exp(found.right) == pytest.approx(0.2)
    assert rank_concepts(np.zeros(6), candidates, {"a", "f"}).rank == 3.0


def test_pmi_takes_off_what_the_question_alone_gives() -> None:
    candidates = Candidates.of({"a": ["A"], "b": ["B"]})
    total, prior = np.array([-2.0, -3.0]), np.array([-1.0, -5.0])
    found = rankings(candidates, ["b"], norm=total / [1, 3], total=total, prior=prior)
    assert {kind: ranking.top[0][0] for kind, ranking in found.items()} == {"sum": "a", "norm": "b", "pmi": "b"}
    assert found["pmi"].top[0][1] == 2.0
    assert list(rankings(candidates, ["b"], norm=total)) == ["norm"]
    assert unpack(pack(found)) == found


@pytest.mark.parametrize("text", ["", "Finch", "[1]", '{"sum": 3}', '{"sum": {"rank": 1}}'])
def test_another_reply_is_no_ranking(text: str) -> None:
    with pytest.raises(ValueError, match=r"no rankings|Expecting value"):
        unpack(text)


def test_items_of_a_document_and_of_one_without_an_answer() -> None:
    candidates = Candidates.of({key: [key] for key in "abc"})
    items = closed_items(DOC, "fine", rankings(candidates, ["b"], np.array([-1.0, -2.0, -3.0])))
    assert {name: items[f"closed_{name}_norm"]["score"] for name in ("top1", "top5", "rank")} == {
        "top1": 0, "top5": 1, "rank": 2,
    }  # fmt: skip
    assert items["closed_top1_norm"]["top"][0][0] == "a"
    assert items["closed_top1_norm"]["record"]["id"] == DOC["id"]
    assert "closed_top1_sum" not in items
    missing = closed_items(DOC, "fine", None, "corrupt_image")
    assert missing["closed_top5_sum"]["score"] == 0
    assert missing["corrupt_images"]["value"] == 1
    assert "score" not in missing["closed_rank_sum"]


def test_calibration_error_by_hand() -> None:
    pairs = [(0.9, 1.0), (0.9, 0.0), (0.3, 0.0), (1.0, 1.0)]
    items = [{"confidence": confidence, "value": right} for confidence, right in pairs]
    # Bins: {0.9, 0.9} off by |1 - 1.8|, {0.3} by 0.3, {1.0} by 0.
    assert calibration_error([*items, {"value": 0.0}]) == pytest.approx((0.8 + 0.3) / 4)
    assert math.isnan(calibration_error([{"value": 0.0}]))


def test_losses_come_as_pairs_or_as_text() -> None:
    assert losses([(0.5, True), "(1.5e-05, False)", "(2, True)"]).tolist() == [0.5, 1.5e-05, 2.0]
    with pytest.raises(ValueError, match="nan"):
        losses(["(nan, False)"])


def test_closed_sets_of_real_taxonomies() -> None:
    assert set(candidates_of("mini", "superordinate").keys) == {"Bird", "Airplane", "Dog", "Car"}
    aircraft = candidates_of("aircraft", "fine")
    assert len(aircraft.keys) == 100
    assert "Boeing 747" not in aircraft.names
    coarse = candidates_of("cub", "coarse")
    assert {"Blackbird", "Sparrow"} <= set(coarse.keys)
    assert right_concepts(DOC, "coarse") == ["Grackle", "Blackbird"]
    assert right_concepts(DOC, "fine") == ["b"]
