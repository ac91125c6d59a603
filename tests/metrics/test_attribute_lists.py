from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finer_tasks.metrics.attribute_lists import MAX_PHRASES, parse_lists


@pytest.mark.parametrize(
    ("text", "required", "likely"),
    [
        ("Required:\n- red body\n- no crest\nLikely:\n- white belly", ["red body", "no crest"], ["white belly"]),
        ("**Required:**\n* red body.\n* Red body\n\n**Likely:**\n* none", ["red body"], []),
        (
            "## Required attributes:\n1. red body\n2) black tail\n### Likely attributes\n• gray wing",
            ["red body", "black tail"],
            ["gray wing"],
        ),
        ("Required:\n- plumage\n    - red body\n  - **white** belly", ["plumage", "red body", "white belly"], []),
        ("Required: red body, black tail; no crest\nLikely: none", ["red body", "black tail", "no crest"], []),
        ("Likely:\n- gray wing\nRequired:\n- red body", ["red body"], ["gray wing"]),
        ("- red body\n- gray wing", ["red body", "gray wing"], []),
        ("Required:\n- a\nLikely:\n- b\nRequired:\n- echo\nLikely:\n- echo", ["a"], ["b"]),
        ("Required:\r\n- red body\r\nLikely:\r\n- none\r\n", ["red body"], []),
    ],
)
def test_lists_as_models_write_them(text: str, required: list[str], likely: list[str]) -> None:
    lists = parse_lists(text)
    assert (list(lists.required), list(lists.likely), lists.parsed) == (required, likely, True)


@pytest.mark.parametrize("text", ["", "It is a small red bird.", "Answer: Pug", "required reading is fun\nlikely story"])
def test_prose_is_no_list(text: str) -> None:
    assert parse_lists(text).parsed is False
    assert parse_lists(text).all == ()


def test_hundreds_of_bullets_are_bounded() -> None:
    lists = parse_lists("Required:\n" + "\n".join(f"- thing {n}" for n in range(900)))
    assert len(lists.required) == MAX_PHRASES


def test_a_phrase_in_both_lists_counts_once_in_all() -> None:
    assert parse_lists("Required:\n- red body\nLikely:\n- red body\n- tail").all == ("red body", "tail")


@given(st.text(max_size=500))
def test_any_text_gives_clean_phrases(text: str) -> None:
    lists = parse_lists(text)
    for phrase in (*lists.required, *lists.likely):
        assert phrase == " ".join(phrase.split())
        assert "\n" not in phrase
    assert len(set(lists.required)) == len(lists.required)


@given(
    st.lists(st.sampled_from(["red body", "no crest", "long tail", "black eye"]), unique=True),
    st.sampled_from(["-", "*", "•", "1."]),
)
def test_what_is_written_is_read(phrases: list[str], bullet: str) -> None:
    text = "Required:\n" + "\n".join(f"{bullet} {phrase}" for phrase in phrases) + "\nLikely:\n- none"
    assert list(parse_lists(text).required) == phrases
