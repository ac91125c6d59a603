from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finer_tasks.attributes.encyclopedia import looks
from finer_tasks.attributes.lists import MAX_PHRASES, parse_lists
from tests.growth import steps_of


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
        ("Required:\nnone\nLikely:\nnone", [], []),
        ("Required:\n- Wings:\n  - black bars\nLikely:\n- none", ["black bars"], []),
    ],
)
def test_lists_as_models_write_them(text: str, required: list[str], likely: list[str]) -> None:
    lists = parse_lists(text)
    assert (list(lists.required), list(lists.likely), lists.parsed) == (required, likely, True)


@pytest.mark.parametrize(
    ("text", "required", "likely"),
    [
        ("Required:\n- black cap\n- likely a red eye ring\nLikely:\n- b", ["black cap", "likely a red eye ring"], ["b"]),
        ("Required:\n- required by all: a crest\nLikely:\n- b", ["required by all: a crest"], ["b"]),
        ("1. Required:\n- a\n- c\n2. Likely:\n- b", ["a", "c"], ["b"]),
        ("1) **Required Attributes**\n   - a\n2) **Likely Attributes**\n   - b", ["a"], ["b"]),
        ("- Required:\n  - a\n- Likely:\n  - b\n- Required:\n  - echo", ["a"], ["b"]),
        (
            "- Required: black cap\n- Required: long, curved bill\n- Likely: gray back\n- Required: white cheeks",
            ["black cap", "long, curved bill", "white cheeks"],
            ["gray back"],
        ),
        ("- Required: a, c\n- Likely: none", ["a", "c"], []),
        ("**Required Attributes:**\n- a\n\n**Likely Attributes:**\n- b", ["a"], ["b"]),
        ("**Required**: a; c\n**Likely**: b", ["a", "c"], ["b"]),
        ("__Required__\n- a\n__Likely__\n- b", ["a"], ["b"]),
        ("### Required attributes of this bird\n- a\n### Likely attributes of this bird\n- b", ["a"], ["b"]),
        ("Required (what it must have):\n- a\nLikely (what it often has):\n- b", ["a"], ["b"]),
        ("Here are the required attributes:\n- a\nAnd these are the likely ones:\n- b", ["a"], ["b"]),
        ("The required and likely attributes are:\nRequired:\n- a\nLikely:\n- b", ["a"], ["b"]),
        ("Sure. Required: red body, black tail. Likely: white belly", ["red body", "black tail"], ["white belly"]),
        ("Answer: **Required:**\n- a\n**Likely:**\n- b", ["a"], ["b"]),
        ("REQUIRED\n- a\nLIKELY\n- b", ["a"], ["b"]),
        ("Required:\n- a\n\nRequired:\n- c\nLikely:\n- b", ["a", "c"], ["b"]),
    ],
)
def test_what_is_a_heading_and_what_a_phrase(text: str, required: list[str], likely: list[str]) -> None:
    lists = parse_lists(text)
    assert (list(lists.required), list(lists.likely), lists.parsed) == (required, likely, True)


@pytest.mark.parametrize(
    "reply",
    [
        "Required:\n- yellow coat\n- black rings on the tail\n\nLikely:\n- amber, yellow eyes\n- long tail",
        "Required:\n* yellow coat\n* inner legs are white\nLikely:\n* likely a tuft\n* stout teeth",
        "Sure! Required:\n- yellow coat\nLikely:\n- long tail",
    ],
)
def test_lists_in_the_benchmarks_own_form_are_read_as_its_parser_does(reply: str) -> None:
    """The released parser: what follows "Required:" or "Likely:" up to the next one, a phrase a dash or star."""
    sections = dict(zip(*[iter(re.split(r"(Required|Likely):", reply)[1:])] * 2, strict=True))
    lists = parse_lists(reply)
    assert list(lists.required) == re.findall(r"[*-] (.+)", sections["Required"])
    assert list(lists.likely) == re.findall(r"[*-] (.+)", sections["Likely"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is a small red bird.",
        "Answer: Pug",
        "required reading is fun\nlikely story",
        "Likely it is a male: see how red it is",
        '{"required": ["black cap", "red eye"], "likely": ["long tail"]}',
    ],
)
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


def test_half_characters_do_not_reach_a_phrase() -> None:
    assert parse_lists("Required:\n- red\ud800 body").required == ("red body",)


PIECES = [
    "required",
    "likely",
    "Required:",
    "*",
    "_",
    "-",
    "- ",
    "#",
    ">",
    " ",
    "1. ",
    "(",
    ":",
    ",",
    ". ",
    "\n",
    "no ",
    "on ",
    "y",
    "=",
]


@given(st.lists(st.sampled_from(PIECES), max_size=4), st.lists(st.sampled_from(PIECES), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_steps_grow_with_the_length_of_the_text(start: list[str], repeated: list[str]) -> None:
    """Twice the text may take twice the steps; the regular expressions have a test of their own."""

    def read(count: int) -> int:
        text = "".join([*start, *repeated * count, "x"])
        return steps_of(lambda: parse_lists(text)) + steps_of(lambda: looks(text))

    read(400)  # loads and fills caches
    assert read(800) <= 2.2 * read(400) + 2000
