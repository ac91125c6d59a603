"""The strict scorer on the real name tables: every reason, and the cases that fool the parity score."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finer_tasks.datasets.registry import DATASETS
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.scoring.strict import REASONS, words_of
from finer_tasks.scoring.strict.cues import _cues
from finer_tasks.scoring.strict.extra import load_extra
from finer_tasks.scoring.strict.words import read
from tests.scoring.agreement import judge, lexicon


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


_PIECES = [
    "Pug",
    "a beagle",
    "Boston Terrier",
    "not",
    "or",
    "is",
    "but",
    "no",
    "?",
    ".",
    ",",
    "\n",
    "**",
    "mix",
    "looks like",
    "Answer:",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12))
def test_case_and_white_space_between_words_change_no_verdict(pieces: list[str]) -> None:
    answer = " ".join(pieces)
    verdict = judge("dogs", "pug", "fine", answer)
    for same in (answer.upper(), answer.lower(), f"  {answer} ", answer.replace(" ", "   "), answer.replace(" ", "\u00a0")):
        assert judge("dogs", "pug", "fine", same) == verdict


@pytest.mark.parametrize(
    "unit", ["not Pug ", "looks like Pug but ", "similar: Pug\n", "actually Pug ", "F-150-", "\u00e9: ", "2012-"]
)
def test_only_the_start_of_a_long_answer_is_read(unit: str) -> None:
    words, _ = read(unit * 100_000)
    assert len(words) <= 1000
    assert judge("dogs", "pug", "fine", unit * 100_000).reason in REASONS


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("geese titmice wolves", "goose titmouse wolf"),
        ("huskies collies finches albatrosses ibises dingoes", "husky collie finch albatross ibis dingo"),
        ("Brewer\u2019s Harris's St. Bernards'", "Brewer Harris St Bernard"),
        ("coup\u00e9 GR\u00c4Y \uff21320 grey", "coupe gray A320 gray"),
    ],
)
def test_number_accents_and_possessives_fold_to_one_form(written: str, folded: str) -> None:
    assert words_of(written) == words_of(folded)


@pytest.mark.parametrize("dataset", [dataset for dataset in DATASETS if load_extra(dataset).same])
def test_further_words_stand_for_labels_that_exist_and_hide_none(dataset: str) -> None:
    extra, known = load_extra(dataset), lexicon(dataset).names
    other = lexicon("nabirds" if dataset == "cub" else "cub").names if dataset in ("cub", "nabirds") else {}
    for label in (*extra.same, *extra.outside, *extra.parts):
        assert "".join(words_of(label)) in known.keys() | other.keys(), label
    outside = Counter("".join(words_of(name)) for names in extra.outside.values() for name in names)
    assert [name for name, count in outside.items() if count > 1 and name not in known] == []


def test_a_cue_has_one_meaning_in_each_direction() -> None:
    def uses(node: dict[str, object]) -> list[tuple[tuple[str, str], ...]]:
        own = [node[""]] if "" in node else []
        return own + [found for word, below in node.items() if word for found in uses(below)]  # type: ignore[arg-type,misc]

    for found in uses(_cues()[0]):
        directions = [direction for _, direction in found]
        assert len(set(directions)) == len(directions), found


def test_superordinates_of_one_dataset_are_told_apart() -> None:
    assert judge("mini", "Alder Finch", "superordinate", "Dog").reason == "wrong_superordinate"
    assert judge("mini", "Alder Finch", "fine", "Ashby Hound").distance == 6
    assert judge("mini", "Alder Finch", "fine", "Finch").distance == 1
