"""The parity scores, against the stated rules and against a second, literal implementation of them."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finer_tasks.replies import extract_answer
from finer_tasks.scoring.classification import exact_match, score, token_f1
from finer_tasks.text import normalize


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("It is white. Answer: Laysan Albatross</s>", "Laysan Albatross"),
        ("Answer: a Pug\nAnswer: a Beagle", "a Pug\nAnswer: a Beagle"),
        ("  plain text <|im_end|>", "plain text"),
        ("answer: lower case is no marker", "answer: lower case is no marker"),
        ("Answer:", ""),
        ("", ""),
    ],
)
def test_the_answer_follows_the_first_marker(output: str, answer: str) -> None:
    assert extract_answer(output) == answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Laysan\tAlbatross!", "laysan albatross"),
        ("Black-footed", "blackfooted"),
        ("Brewer's Blackbird", "brewers blackbird"),
        ("an apple a day, the end", "apple day end"),
        ("Theta band", "theta band"),
        ("…", "…"),
        ("the", ""),
    ],
)
def test_normalisation(text: str, normal: str) -> None:
    assert normalize(text) == normal


@pytest.mark.parametrize(
    ("answer", "labels", "em"),
    [
        ("Laysan Albatross", ["Laysan Albatross"], 1.0),
        ("this is the laysan albatross.", ["Laysan Albatross"], 1.0),
        ("Sooty Albatross", ["Laysan Albatross", "Albatross"], 1.0),
        ("Sooty Albatross", ["Laysan Albatross"], 0.0),
        # Known weaknesses, kept to the letter.
        ("crowned lapwing", ["Crow"], 1.0),
        ("not a Pug", ["Pug"], 1.0),
        ("anything", [""], 1.0),
        ("2006 Honda Civic LX Coupe", ["Honda Civic LX Coupe 2006"], 0.0),
        # The window of 20 tokens, and equality beyond it.
        (" ".join(["word"] * 18) + " laysan albatross", ["Laysan Albatross"], 1.0),
        (" ".join(["word"] * 19) + " laysan albatross", ["Laysan Albatross"], 0.0),
        (" ".join(str(n) for n in range(30)), [" ".join(str(n) for n in range(30))], 1.0),
        ("", ["Pug"], 0.0),
    ],
)
def test_exact_match(answer: str, labels: list[str], em: float) -> None:
    assert exact_match(answer, labels) == em


@pytest.mark.parametrize(
    ("answer", "labels", "f1"),
    [
        ("Laysan Albatross", ["Laysan Albatross"], 1.0),
        ("Sooty Albatross", ["Laysan Albatross"], 0.5),
        ("Sooty Albatross", ["Laysan Albatross", "Sooty Albatross"], 1.0),
        ("pug pug", ["pug"], 2 * 0.5 * 1 / 1.5),
        ("pug", ["pug pug"], 2 * 1 * 0.5 / 1.5),
        ("nothing", ["pug"], 0.0),
        ("", ["pug"], 0.0),
    ],
)
def test_token_f1(answer: str, labels: list[str], f1: float) -> None:
    assert token_f1(answer, labels) == pytest.approx(f1)


def test_f1_reads_ten_tokens_of_the_label_and_all_of_the_answer() -> None:
    words = [f"w{n}" for n in range(12)]
    assert token_f1(" ".join(words), [" ".join(words)]) == pytest.approx(2 * 10 / (12 + 10))
    wordy = " ".join(["um"] * 60) + " pug"
    assert token_f1(wordy, ["pug"]) == pytest.approx(2 / 62)


def literal_normalize(text: str) -> str:
    text = text.lower()
    text = "".join(char for char in text if char not in set(string.punctuation))
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def literal_scores(answer: str, labels: list[str]) -> tuple[float, float]:
    em, f1 = [], []
    for label in labels:
        window = " ".join(literal_normalize(answer).split()[:20])
        em.append(float(literal_normalize(label) in window or literal_normalize(label) == literal_normalize(answer)))
        predicted, gold = literal_normalize(answer).split(), literal_normalize(label).split()[:10]
        common = sum((Counter(predicted) & Counter(gold)).values())
        if common == 0:
            f1.append(0.0)
            continue
        precision, recall = common / len(predicted), common / len(gold)
        f1.append(2 * precision * recall / (precision + recall))
    return max(em), max(f1)


words = st.lists(
    st.sampled_from(["the", "a", "Pug", "pug!", "black-footed", "Crow", "crowned", "é", "x1", "-", "AN"]), max_size=30
)
texts = st.one_of(words.map(" ".join), st.text(max_size=80))


@given(answer=texts, labels=st.lists(texts, min_size=1, max_size=4))
def test_the_fast_scores_equal_the_literal_rules(answer: str, labels: list[str]) -> None:
    em, f1 = literal_scores(answer, labels)
    assert score(answer, labels)[0] == em
    assert score(answer, labels)[1] == pytest.approx(f1)


@given(text=st.text(max_size=200))
def test_normalisation_of_anything_is_clean(text: str) -> None:
    normal = normalize(text)
    assert normal == " ".join(normal.split())
    assert not set(normal) & set(string.punctuation)
