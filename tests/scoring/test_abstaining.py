"""What is declined, and whether that was right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.replies import NO_CONTENT
from finer_tasks.scoring.abstaining import (
    abstaining_items,
    balanced_refusals,
    is_missing,
    offered_names,
    open_items,
    refusal_f1,
)
from tests.documents import document_of

DOC = document_of("mini", "alder_finch")
RIGHT, WRONG = "Answer: Alder Finch", "Answer: Arlen Heron"


@pytest.mark.parametrize(
    ("reply", "answered", "declined", "right"),
    [
        (RIGHT, 1, 0, 1.0),
        (WRONG, 1, 0, 0.0),
        ("Answer: I don't know", 0, 1, None),
        ("<think>Alder Finch?</think>Answer: I cannot tell.", 0, 1, None),
        ("I don't know, but it is a finch", 0, 1, None),  # the asked level is not named
        ("", 0, 0, None),
        (NO_CONTENT, 0, 0, None),
    ],
)
def test_answers_and_refusals_are_told_apart(reply: str, answered: int, declined: int, right: float | None) -> None:
    items = abstaining_items(DOC, [reply], "fine")
    assert (items["answered"]["score"], items["declined"]["score"]) == (answered, declined)
    assert items["em_strict_answered"].get("score") == items["em_answered"].get("score") == right
    assert items["em_strict"]["score"] == (right or 0.0)  # a refusal is wrong where all count


def test_the_list_of_a_document_is_its_own_and_half_of_them_lack_the_right_name() -> None:
    concepts = concepts_of("mini")
    docs = [document_of("mini", concept.concept_id, number) for concept in concepts for number in range(10)]
    offered = [offered_names(doc, "fine") for doc in docs]
    assert offered == [offered_names(doc, "fine") for doc in docs]
    assert len(set(offered[:10])) > 1
    missing = [is_missing(doc, "fine", names) for doc, names in zip(docs, offered, strict=True)]
    assert sum(missing) / len(missing) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(docs)))
    for doc, names in zip(docs, offered, strict=True):  # as long with the right name as without, and all of one kind
        assert len(set(names)) == 3
        assert set(names) <= {one.fine[0] for one in concepts if one.coarse[0] == doc["coarse"][0]}
    places = [names.index(doc["fine"][0]) for doc, names, gone in zip(docs, offered, missing, strict=True) if not gone]
    assert set(places) == {0, 1, 2}


def test_only_children_are_offered_names_from_one_level_up() -> None:
    docs = [document_of("cub", "northern_cardinal", number) for number in range(20)]
    assert {len(offered_names(doc, "fine")) for doc in docs} == {4}


OFFERED, MISSING = ("Alder Finch", "Borrow Finch"), ("Dunmore Finch", "Borrow Finch")


@pytest.mark.parametrize(
    ("reply", "offered", "right", "refused"),
    [
        (RIGHT, OFFERED, 1, 0),
        ("Answer: Borrow Finch", OFFERED, 0, 0),
        ("Answer: none of these", OFFERED, 0, 1),
        ("Answer: none of these", MISSING, 1, 1),
        ("I don't know", MISSING, 1, 1),
        (RIGHT, MISSING, 0, 0),
        ("None of these, it is an Alder Finch.", MISSING, 1, 1),
        ("None of these, it is an Arlen Heron.", OFFERED, 0, 1),
        ("I am not sure, but it is a Borrow Finch.", MISSING, 0, 0),
        ("I am not sure, but it is an Alder Finch.", OFFERED, 1, 0),
        ("Answer: Borrow Finch", MISSING, 0, 0),
    ],
)
def test_a_refusal_is_right_where_the_name_is_missing(reply: str, offered: Sequence[str], right: int, refused: int) -> None:
    items = open_items(DOC, [reply], "fine", offered=offered)
    assert items["open_right"]["score"] == right
    rate, other = ("true_refusal", "false_refusal") if offered == MISSING else ("false_refusal", "true_refusal")
    assert items[rate]["score"] == refused
    assert "score" not in items[other]
    assert ("score" in items["open_named"]) == (offered == OFFERED)
    assert items["open_right"]["offered"] == list(offered)
    assert items["open_unlisted"].get("score") == (float(reply == RIGHT) if offered == MISSING else None)


def test_both_kinds_of_refusals_make_one_figure() -> None:
    replies = [("none of these", MISSING)] * 3 + [("Borrow Finch", MISSING)] + [("none of these", OFFERED), (RIGHT, OFFERED)]
    items = [open_items(DOC, [reply], "fine", offered=offered) for reply, offered in replies]
    assert balanced_refusals([one["refusal_balanced"] for one in items]) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert refusal_f1([one["refusal_f1"] for one in items]) == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert math.isnan(balanced_refusals([one["refusal_balanced"] for one in items[:4]]))
    assert math.isnan(refusal_f1([items[5]["refusal_f1"]]))


def test_without_an_answer_there_is_no_rate() -> None:
    failed = open_items(DOC, ["[LMMS_EVAL_REQUEST_FAILED]"], "fine", offered=MISSING)
    assert failed["open_right"]["score"] == 0
    assert "score" not in failed["true_refusal"]
    assert failed["failed_requests"]["value"] == 1
    assert math.isnan(balanced_refusals([failed["refusal_balanced"]]))
