"""Which option an answer chooses, by letter and by name."""

from __future__ import annotations

import pytest

from finer_tasks.options.choosing import Options
from finer_tasks.scoring.chosen import Chosen, by_any_letter, by_first_letter, letters_in, read_choice

DOC = {
    "id": "cub/test/1", "superordinate": "Bird", "coarse": ["Albatross"], "fine": ["Laysan Albatross"],
    "concept_id": "laysan_albatross",
}  # fmt: skip
BIRDS = Options(
    ("black_footed_albatross", "laysan_albatross", "sooty_albatross", "western_gull"),
    ("Black-footed Albatross", "Laysan Albatross", "Sooty Albatross", "Western Gull"),
    1,
)
CARS = Options(
    ("a", "b", "c", "d"),
    ("Acura Integra Type R 2001", "Mercedes-Benz C-Class Sedan 2012", "Mercedes-Benz E-Class Sedan 2012", "Audi A5 Coupe 2012"),
    1,
)


@pytest.mark.parametrize(
    "answer",
    ["B", "b", "(b)", "B.", "[B]", "**B**", "\\boxed{B}", "the answer is B", "The answer is (B).", "Option B", "Answer b",
     "B. It has a white head.", "B\nBecause it has a white head", "I would say B", "It is not A but B",
     "The answer is B because the A option is darker", "A and C are wrong. The answer is B", "I rule out A, C. The answer is B."],
)  # fmt: skip
def test_a_letter_chooses_its_option(answer: str) -> None:
    assert read_choice(answer, DOC, "fine", BIRDS) == Chosen(1, "", "letter")


@pytest.mark.parametrize(
    "answer",
    ["Laysan Albatross", "laysan albatross.", "Laysan", "It is a Laysan Albatross", "A Laysan albatross", "a laysan albatross",
     "the answer is a laysan albatross", "Phoebastria immutabilis", "It's not a Western Gull, it's a Laysan Albatross"],
)  # fmt: skip
def test_a_name_chooses_its_option_as_the_strict_scorer_reads_it(answer: str) -> None:
    assert read_choice(answer, DOC, "fine", BIRDS) == Chosen(1, "", "name")


@pytest.mark.parametrize(
    "answer", ["B) Laysan albatross", "B. Laysan Albatross", "**B: Laysan Albatross**", "b - Laysan Albatross"]
)
def test_letter_and_name_may_agree(answer: str) -> None:
    assert read_choice(answer, DOC, "fine", BIRDS) == Chosen(1, "", "both")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("A) Laysan Albatross", "contradictory"),
        ("B) Herring Gull", "contradictory"),
        ("A, B", "several_letters"),
        ("A or B", "several_letters"),
        ("(A) or (B)", "several_letters"),
        ("The answer is A or B", "several_letters"),
        ("A or B. The answer is A, or the answer is B.", "several_letters"),
        ("A. Black-footed Albatross\nB. Laysan Albatross", "several_letters"),
        ("Western Gull or Laysan Albatross", "several"),
        ("Herring Gull", "unlisted_name"),
        ("Albatross", "no_option"),
        ("A bird", "no_option"),
        ("E", "no_option"),
        ("I don't know", "abstained"),
    ],
)
def test_what_chooses_no_option_tells_why(answer: str, reason: str) -> None:
    assert read_choice(answer, DOC, "fine", BIRDS) == Chosen(None, reason)


def test_coarse_options_are_named_by_what_counts_as_right_for_them() -> None:
    groups = Options(("Albatross", "Gull", "Auklet", "Tern"), ("Albatross", "Gull", "Auklet", "Tern"), 0)
    assert read_choice("a gull", DOC, "coarse", groups) == Chosen(1, "", "name")
    assert read_choice("Laysan Albatross", DOC, "coarse", groups) == Chosen(0, "", "name")
    assert read_choice("Warbler", DOC, "coarse", groups) == Chosen(None, "unlisted_name")


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        ("Acura Integra Type R 2001", []),
        ("The car is a Mercedes-Benz C-Class Sedan 2012", []),
        ("C. Mercedes-Benz E-Class Sedan 2012", [2]),
        ("a car", []),
        ("The answer is A because of the logo.", [0]),
        ("A is right", [0]),
        ("C, the E-Class", [2]),
    ],
)
def test_letters_inside_of_names_and_articles_are_no_choice(answer: str, letters: list[int]) -> None:
    assert letters_in(answer, CARS) == letters


def test_the_rules_of_published_benchmarks_look_at_letters_alone() -> None:
    assert by_first_letter("b) Laysan", BIRDS) == 1
    assert by_first_letter("the answer is B", BIRDS) is None
    assert by_first_letter("A Laysan Albatross", BIRDS) == 0  # an article, read as a letter
    assert by_any_letter("The Answer is B", BIRDS) == 0  # the capital of "Answer"
    assert by_any_letter("it is (B)", BIRDS) == 1
    assert by_any_letter("b", BIRDS) is None


def test_a_behind_the_word_option_is_a_letter_and_no_article() -> None:
    assert read_choice("I would choose option A over option B.", DOC, "fine", BIRDS) == Chosen(None, "several_letters")
    assert read_choice("Option A fits best.", DOC, "fine", BIRDS) == Chosen(0, "", "letter")
