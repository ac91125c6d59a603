"""The strict scorer on the real name tables: every reason, and the cases that fool the parity score."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.metrics.strict import REASONS, Lexicon, StrictScore, score_strict, words_of


@cache
def lexicon(dataset: str) -> Lexicon:
    taxonomy = load_taxonomy(dataset)
    concepts = {concept.concept_id: concept for concept in taxonomy.classes.values()}
    return Lexicon.of(taxonomy, concepts.values())


def judge(dataset: str, class_name: str, level: str, answer: str) -> StrictScore:
    concept = load_taxonomy(dataset).classes[class_name]
    doc: dict[str, Any] = {
        "superordinate": concept.superordinate, "coarse": concept.coarse, "fine": concept.fine,
        "concept_id": concept.concept_id,
    }  # fmt: skip
    return score_strict(answer, doc, level, lexicon(dataset))


@pytest.mark.parametrize(
    ("level", "answer", "reason", "depth", "distance"),
    [
        ("fine", "Laysan Albatross", "right", 3, 0),
        ("fine", "This is a laysan ALBATROSS, a seabird of the albatross family.", "right", 3, 0),
        ("fine", "Phoebastria immutabilis", "right", 3, 0),
        ("fine", "Sooty Albatross", "wrong_sibling", 2, 2),
        ("fine", "an albatross", "too_general", 2, 1),
        ("fine", "some bird", "too_general", 1, 2),
        ("fine", "Herring Gull", "wrong_coarse", 1, 4),
        ("fine", "a dog", "wrong_superordinate", 0, 4),
        ("fine", "Laysan Albatross or Sooty Albatross", "several", 2, None),
        ("fine", "Laysan Albatross, Herring Gull", "several", 1, None),
        ("fine", "not a Laysan Albatross", "negated", 0, None),
        ("fine", "It isn't a Laysan albatross", "negated", 0, None),
        ("fine", "It might be a Laysan Albatross", "hedged", 0, None),
        ("fine", "I cannot identify the bird species", "abstained", 0, None),
        ("fine", "I am unable to tell.", "abstained", 0, None),
        ("fine", "Spotted Grommet", "unknown_name", 0, None),
        ("fine", "Альбатрос", "unknown_name", 0, None),
        ("fine", " \n", "empty", 0, None),
        ("coarse", "Albatrosses", "right", 2, 0),
        ("coarse", "Laysan Albatross", "right", 3, 0),
        ("coarse", "Gull", "wrong_coarse", 1, 2),
        ("coarse", "Bird", "too_general", 1, 1),
        ("superordinate", "Bird", "right", 1, 0),
        ("superordinate", "Airplane", "wrong_superordinate", 0, 2),
    ],
)
def test_reasons_depth_and_distance(level: str, answer: str, reason: str, depth: int, distance: int | None) -> None:
    found = judge("cub", "Laysan_Albatross", level, answer)
    assert (found.reason, found.depth, found.distance) == (reason, depth, distance)
    assert found.right == (reason == "right")
    assert found.reason in REASONS


@pytest.mark.parametrize(
    ("dataset", "class_name", "answer", "reason"),
    [
        # What fools the parity score.
        ("cub", "American_Crow", "crowned lapwing", "unknown_name"),
        ("dogs", "pug", "not a Pug", "negated"),
        ("dogs", "pug", "Pug, Beagle, Boxer, Chihuahua, Collie, Whippet, Saluki, Samoyed, Borzoi, Basenji", "several"),
        ("cars", "Honda Accord Coupe 2012", "2012 Honda Accord Coupe", "right"),
        ("cars", "Honda Accord Coupe 2012", "Honda Accord Coupe", "too_general"),
        ("cars", "Honda Accord Coupe 2012", "2012 Honda Accord Sedan", "wrong_coarse"),
        ("cars", "Audi S4 Sedan 2012", "Audi S4 Sedan 2007", "wrong_sibling"),
        # Spelling variants and older names.
        ("cub", "Gray_Catbird", "Grey Catbird", "right"),
        ("cub", "Black_footed_Albatross", "black footed albatross", "right"),
        ("cub", "Brewer_Blackbird", "Brewer’s Blackbird", "right"),
        ("cub", "Myrtle_Warbler", "Yellow-rumped Warbler", "right"),
        ("cub", "Cardinal", "Northern Cardinal", "right"),
        ("dogs", "Boston_bull", "a Boston Terrier", "right"),
        ("dogs", "German_short-haired_pointer", "German Shorthaired Pointer", "right"),
        # Designations: a longer number is another aircraft.
        ("aircraft", "747-400", "Boeing 747-400", "right"),
        ("aircraft", "747-400", "Boeing 747", "right"),
        ("aircraft", "747-400", "Boeing 747-8", "wrong_sibling"),
        ("aircraft", "737-200", "737-300", "wrong_sibling"),
        ("aircraft", "A320", "A318", "wrong_sibling"),
        ("aircraft", "F-16A/B", "F-16 Fighting Falcon", "right"),
        ("nabirds", "Blue-winged Teal (Male)", "Blue-winged Teal", "right"),
    ],
)
def test_names_as_people_write_them(dataset: str, class_name: str, answer: str, reason: str) -> None:
    assert judge(dataset, class_name, "fine", answer).reason == reason


@pytest.mark.parametrize("dataset", ["cub", "aircraft", "dogs", "cars", "nabirds", "mini"])
def test_every_label_of_every_class_is_right_for_it_at_every_level(dataset: str) -> None:
    for name, concept in load_taxonomy(dataset).classes.items():
        for level, labels in (
            ("fine", concept.fine),
            ("coarse", (*concept.coarse, *concept.fine)),
            ("superordinate", (concept.superordinate,)),
        ):
            for label in labels:
                found = judge(dataset, name, level, f"Answer: {label}".removeprefix("Answer: "))
                assert found.right, (name, level, label, found)


def test_markup_control_characters_and_megabytes_are_read_like_any_text() -> None:
    assert judge("dogs", "pug", "fine", "\x00\x1b[31m<b>Pug</b>").right
    assert judge("dogs", "pug", "fine", "word " * 300_000).reason == "unknown_name"
    assert judge("dogs", "pug", "fine", "x" * 2_000_000).reason == "unknown_name"


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gets_one_reason(answer: str) -> None:
    found = judge("dogs", "pug", "fine", answer)
    assert found.reason in REASONS
    assert found.right == (found.reason == "right")
    assert words_of(answer) == [word for word in words_of(answer) if word]


def test_superordinates_of_one_dataset_are_told_apart() -> None:
    assert judge("mini", "Alder Finch", "superordinate", "Dog").reason == "wrong_superordinate"
    assert judge("mini", "Alder Finch", "fine", "Ashby Hound").distance == 6
    assert judge("mini", "Alder Finch", "fine", "Finch").distance == 1
