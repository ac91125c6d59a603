"""Yes and no, and what both answers to a document are worth."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from finer_tasks.scoring.yesno import Claims, claims_of, d_prime, read_yes_no, yesno_items
from tests.documents import document_of

DOC = document_of("mini", "alder_finch")
YES, NO = "Answer: yes", "Answer: no"


@pytest.mark.parametrize(
    ("said", "replies"),
    [
        ("yes", ["Yes", "yes.", "**Yes**", "Yes it is", "Answer: Yes, it is a Laysan Albatross.", "Yes, no doubt.",
                 "<think>no</think>Answer: yes", "The bird is, yes, a tern", "I would say yes", "Yes\n\nNo crest", "\\boxed{\\text{Yes}}"]),
        ("no", ["No", '"no"', "No, this is a Beagle", "The answer is no.", "Answer: (no)", "No it is not"]),
        ("neither", ["", "true", "nope", "yes or no", "Yes/No", "Answer: yes\nAnswer: no", "Yes. No, wait", "Not yes",
                     "No doubt it is", "There is no doubt.", "no idea", "I don't know", "It is not", "Noisy miner",
                     "<think>yes", "It is not possible to answer yes or no.", "I can't say yes.", "No answer", "[LMMS_EVAL_REQUEST_FAILED]"]),
    ],
)  # fmt: skip
def test_what_a_reply_says(said: str, replies: list[str]) -> None:
    assert {reply: read_yes_no(reply) for reply in replies} == dict.fromkeys(replies, said)


@pytest.mark.parametrize(
    ("replies", "both", "accuracy", "yes", "neither"),
    [
        ((YES, NO), 1, 1, 0.5, 0),
        ((YES, YES), 0, 0.5, 1, 0),
        ((NO, NO), 0, 0.5, 0, 0),
        ((NO, YES), 0, 0, 0.5, 0),
        ((YES, "maybe"), 0, 0.5, 1, 1),
        (("maybe", NO), 0, 0.5, 0, 1),
        (("maybe", "maybe"), 0, 0, None, 2),
    ],
)
def test_both_answers_must_be_right(
    replies: tuple[str, str], both: float, accuracy: float, yes: float | None, neither: int
) -> None:
    items = yesno_items(DOC, replies, "fine")
    assert (items["yesno_both"]["score"], items["yesno_accuracy"]["score"]) == (both, accuracy)
    assert (items["yesno_yes"].get("score"), items["yesno_neither"]["value"]) == (yes, neither)
    assert items["yesno_accuracy"]["score"] == (items["yesno_true"]["score"] + items["yesno_false"]["score"]) / 2
    assert items["yesno_both"]["rounds"] == list(replies)


@pytest.mark.parametrize("replies", [("[LMMS_EVAL_REQUEST_FAILED]",), (YES, "[LMMS_EVAL_REQUEST_FAILED]"), ("<think>", NO)])
def test_a_document_with_a_failed_reply_is_wrong_and_counted(replies: tuple[str, ...]) -> None:
    items = yesno_items(DOC, replies, "fine")
    assert {items[name]["score"] for name in ("yesno_both", "yesno_true", "yesno_false", "yesno_accuracy")} == {0.0}
    assert items["failed_requests"]["value"] + items["unfinished_thoughts"]["value"] == 1
    assert "score" not in items["yesno_yes"]
    assert math.isnan(d_prime([items["yesno_dprime"]]))


def test_the_wrong_name_is_a_sibling_where_there_is_one() -> None:
    claims = claims_of(DOC, "fine")
    assert claims == claims_of(dict(DOC), "fine")
    assert (claims.true, claims.shares, claims.false.split()[-1]) == ("Alder Finch", "coarse", "Finch")
    assert len({claims_of(document_of("mini", "alder_finch", number), "fine").false for number in range(20)}) == 3
    assert claims_of(document_of("cub", "northern_cardinal"), "fine").shares == "superordinate"
    assert claims_of(DOC, "coarse").shares == "superordinate"


def test_d_prime_corrects_rates_of_none_and_all() -> None:
    z = NormalDist().inv_cdf
    mixed = [yesno_items(DOC, replies, "fine")["yesno_dprime"] for replies in [(YES, NO)] * 3 + [(NO, YES), (YES, "maybe")]]
    assert d_prime(mixed) == pytest.approx(z(4.5 / 6) - z(1.5 / 5))
    sure = [yesno_items(DOC, (YES, NO), "fine")["yesno_dprime"]] * 9
    assert d_prime(sure) == pytest.approx(2 * z(9.5 / 10))
    always = [yesno_items(DOC, (YES, YES), "fine", claims=Claims("a", "b", ""))["yesno_dprime"]] * 9
    assert d_prime(always) == pytest.approx(0)
