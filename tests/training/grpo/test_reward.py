"""What answers are worth: the documented values, and nothing to be had by tricks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finer_tasks.datasets.mini.reader import mini_concepts
from finer_tasks.training.grpo.recipe import Reward
from finer_tasks.training.grpo.rewarding import Rewarder

CONCEPTS = [concept.concept for concept in mini_concepts()]
WORTH = Reward(partial=0.25, max_characters=100, overlong=0.5)
REWARDER = Rewarder(WORTH, lambda ids: "".join(map(chr, ids)))
concepts = st.sampled_from(CONCEPTS)


def doc(concept: Any) -> dict[str, Any]:
    return {
        "id": f"mini/train/{concept.concept_id}", "superordinate": concept.superordinate, "coarse": list(concept.coarse),
        "fine": list(concept.fine), "concept_id": concept.concept_id, "class_id": concept.concept_id,
    }  # fmt: skip


def worth(concept: Any, reply: str, level: str = "fine", told: bool = False) -> float:
    return REWARDER.reward(doc(concept), level, told, reply)[0]


def siblings(concept: Any) -> list[Any]:
    return [other for other in CONCEPTS if other.coarse == concept.coarse and other is not concept]


@settings(deadline=None)
@given(concepts)
def test_only_the_right_name_earns_all_and_only_the_coarse_one_a_part(concept: Any) -> None:
    fine, coarse = concept.fine[0], concept.coarse[0]
    for reply in (fine, f"Answer: {fine}", f"It is a {fine}.", f"<think>A {coarse}?</think>Answer: {fine}"):
        assert worth(concept, reply) == 1.0
    assert worth(concept, f"Answer: {coarse}") == WORTH.partial
    assert worth(concept, f"Answer: {concept.superordinate}") == 0.0
    assert worth(concept, f"Answer: {coarse}", "coarse") == worth(concept, f"Answer: {fine}", "coarse") == 1.0


@settings(deadline=None)
@given(concepts)
def test_a_coarse_name_that_the_question_told_earns_nothing(concept: Any) -> None:
    assert worth(concept, f"Answer: {concept.coarse[0]}", told=True) == 0.0
    assert worth(concept, f"Answer: {concept.superordinate}", "coarse", told=True) == 0.0
    assert worth(concept, f"Answer: {concept.fine[0]}", told=True) == 1.0


@settings(deadline=None)
@given(concepts, st.sampled_from(CONCEPTS))
def test_a_wrong_name_earns_nothing_whatever_its_group(concept: Any, other: Any) -> None:
    if other is not concept:
        assert worth(concept, f"Answer: {other.fine[0]}") == 0.0


@settings(deadline=None)
@given(concepts, st.permutations(range(4)), st.sampled_from([", ", " or ", " and ", "\n- ", "; ", " / ", " "]))
def test_a_list_of_the_names_of_a_group_earns_nothing_in_any_order(concept: Any, order: list[int], joint: str) -> None:
    names = [one.fine[0] for one in (concept, *siblings(concept))]
    assert worth(concept, "Answer: " + joint.join(names[index] for index in order)) <= 0.0


@settings(deadline=None)
@given(concepts)
def test_other_ways_around_a_clear_answer_earn_nothing(concept: Any) -> None:
    fine, sibling = concept.fine[0], siblings(concept)[0].fine[0]
    for reply in (
        "", "   ", "Answer:", "I cannot tell.", f"It is not a {fine}.", f"Either a {fine} or a {sibling}.", "xyzzy plugh",
        f"Answer: {sibling}\n{fine}", f"<think>It is a {fine}",
    ):  # fmt: skip
        assert worth(concept, reply) == 0.0, reply


pieces = st.one_of(
    concepts.map(lambda concept: concept.fine[0]),
    st.sampled_from(
        ["Answer: ", "\nAnswer: ", " or ", ", ", ". ", "not ", "It is a ", " rather than ", "**", "maybe ", "? No, "]
    ),
)


@settings(deadline=None)
@given(st.lists(pieces, max_size=12).map("".join))
def test_no_reply_is_right_for_two_concepts(reply: str) -> None:
    assert sum(worth(concept, reply) > WORTH.partial for concept in CONCEPTS) <= 1


@settings(deadline=None)
@given(concepts, st.integers(0, 400), st.sampled_from(["x", " ", "good ", "\n"]))
def test_length_costs_and_never_more_than_its_bound(concept: Any, more: int, filler: str) -> None:
    short = f"Answer: {concept.fine[0]}. "
    reply = short + (filler * more)[:more]
    value = worth(concept, reply)
    if len(reply) <= WORTH.max_characters:
        assert value == worth(concept, short)
    assert -WORTH.overlong <= value <= 1.0
    longer = worth(concept, reply + filler * 200)
    assert longer <= value
    if len(reply) >= 2 * WORTH.max_characters:
        assert value == longer == pytest.approx((worth(concept, short)) - WORTH.overlong)


@settings(deadline=None)
@given(concepts, st.text(max_size=300), st.sampled_from(["superordinate", "coarse", "fine"]), st.booleans())
def test_the_same_answer_is_always_worth_the_same_and_remembered(concept: Any, reply: str, level: str, told: bool) -> None:
    first = REWARDER.reward(doc(concept), level, told, reply)
    assert REWARDER.reward(doc(concept), level, told, reply) is first
    assert Rewarder(WORTH, str).reward(doc(concept), level, told, reply) == first
    assert -WORTH.overlong <= first[0] <= 1.0


def test_a_batch_is_rewarded_in_its_order_and_its_kinds_are_told() -> None:
    one, other = CONCEPTS[0], siblings(CONCEPTS[0])[0]
    replies = [f"Answer: {one.fine[0]}", f"Answer: {other.fine[0]}", f"Answer: {one.coarse[0]}", "x" * 200]
    told: dict[str, float] = {}
    found = REWARDER(
        completion_ids=[[*map(ord, reply)] for reply in replies], doc=[doc(one)] * 4, level=["fine"] * 4, told=[False] * 4,
        log_metric=told.__setitem__, prompts=None,
    )  # fmt: skip
    assert found == [1.0, 0.0, 0.25, -0.5]
    shares = {"right": 0.25, "wrong": 0.25, "too_general": 0.25, "several": 0.0, "other": 0.25, "overlong": 0.25}
    assert told == {f"answers/{kind}": share for kind, share in shares.items()}
