"""Figures of documents whose question offered options."""

from __future__ import annotations

import math
from typing import Any

import pytest

from finer_tasks.options.choosing import Options
from finer_tasks.scoring.multiple_choice import (
    choice_items,
    corrected_for_chance,
    likelihood_items,
    offered_in,
    pack,
    replies_to_score,
)

OPTIONS = Options(("a", "b", "c"), ("Alder Finch", "Bramble Finch", "Cinder Finch"), 1)
DOC: dict[str, Any] = {
    "id": "cub/test/x", "superordinate": "Bird", "coarse": ["Finch"], "fine": ["Bramble Finch"], "concept_id": "b", "class_id": "b",
}  # fmt: skip


def test_a_right_letter_and_a_wrong_one() -> None:
    right, wrong = (choice_items(DOC, [answer], "fine", OPTIONS) for answer in ("B", "C"))
    assert (right["mc"]["score"], right["mc"]["reason"], right["mc"]["by"]) == (1.0, "right", "letter")
    assert (wrong["mc"]["score"], wrong["mc"]["reason"], wrong["mc"]["chosen"]) == (0.0, "wrong_option", 2)
    assert right["mc_foci_rule"]["score"] == right["mc_tara_rule"]["score"] == 1.0
    assert offered_in(wrong["mc"]) == OPTIONS


def test_rules_may_disagree_about_one_answer() -> None:
    asked, literally = (choice_items(DOC, ["Answer: B"], "fine", OPTIONS, literally=flag) for flag in (False, True))
    assert asked["mc"]["score"] == literally["mc"]["score"] == 1.0
    # The question asks for "Answer:", which no protocol does; there it begins with the letter A.
    assert asked["mc_foci_rule"]["score"] == asked["mc_tara_rule"]["score"] == 1.0
    assert literally["mc_foci_rule"]["score"] == literally["mc_tara_rule"]["score"] == 0.0


def test_without_an_answer_a_document_is_wrong_and_chooses_nothing() -> None:
    corrupt = choice_items(DOC, ["B"], "fine", OPTIONS, readable=False)
    assert (corrupt["mc"]["reason"], corrupt["mc"]["chosen"], corrupt["corrupt_images"]["value"]) == (
        "corrupt_image",
        None,
        1.0,
    )
    failed = choice_items(DOC, ["[LMMS_EVAL_REQUEST_FAILED]"], "fine", OPTIONS)
    assert (failed["mc"]["score"], failed["failed_requests"]["value"], failed["mc_foci_rule"]["score"]) == (0.0, 1.0, 0.0)


def test_guessing_gives_zero_after_correction_for_chance() -> None:
    items = [{"value": 1.0, "of": 4}, *({"value": 0.0, "of": 4},) * 3]
    assert corrected_for_chance(items) == pytest.approx(0)
    assert corrected_for_chance([{"value": 1.0, "of": 2}]) == 1
    assert math.isnan(corrected_for_chance([]))


def test_likelihoods_choose_by_letter_and_by_name() -> None:
    assert replies_to_score(OPTIONS)[::3] == ["A", "Alder Finch"]
    packed = pack(OPTIONS, [-1, -3, -2, -9, -8, -10], [-1, -3, -2, -0.9, -2, -0.5])
    items = likelihood_items(DOC, [packed], "fine", OPTIONS)
    assert [items[name]["chosen"] for name in ("mc_letter", "mc_name_sum", "mc_name_norm")] == [0, 1, 2]
    assert [items[name]["score"] for name in ("mc_letter", "mc_name_sum", "mc_name_norm")] == [0, 1, 0]


def test_losses_of_single_requests_give_all_but_the_sum_of_names() -> None:
    results = [(loss, False) for loss in (3.0, 1.0, 2.0, 0.9, 2.0, 0.5)]
    items = likelihood_items(DOC, results, "fine", OPTIONS)
    assert "mc_name_sum" not in items
    assert [items[name]["chosen"] for name in ("mc_letter", "mc_name_norm")] == [1, 2]


@pytest.mark.parametrize("results", [["no numbers"], [], [(1.0, False)] * 5, [(float("nan"), False)] * 6, ['{"keys": ["z"]}']])
def test_results_that_are_no_likelihoods_of_these_options_count_as_failed(results: list[Any]) -> None:
    items = likelihood_items(DOC, results, "fine", OPTIONS)
    assert items["failed_requests"]["value"] == 1
    assert (items["mc_letter"]["score"], items["mc_letter"]["chosen"]) == (0, None)
