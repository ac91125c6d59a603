"""Which options a document has, and in which order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.options.choosing import kinds_of, options_of
from finer_tasks.options.settings import ChoicesError, Setting, parse

SIBLINGS = Setting("siblings")


def documents(dataset: str = "mini") -> list[dict[str, Any]]:
    return list(load_prepared(dataset).tables()["test"])


def test_each_position_is_right_equally_often_in_the_split_and_in_each_concept(mini_data: Path) -> None:
    for level in ("coarse", "fine"):
        right = Counter[int]()
        by_concept: dict[str, Counter[int]] = {}
        for doc in documents():
            position = options_of(doc, level, SIBLINGS).right
            right[position] += 1
            by_concept.setdefault(doc["concept_id"], Counter())[position] += 1
        assert set(right) == {0, 1, 2, 3}
        assert max(right.values()) - min(right.values()) <= 1
        for counts in by_concept.values():
            assert max(counts[position] for position in range(4)) - min(counts[position] for position in range(4)) <= 1


def test_the_options_of_a_document_depend_on_nothing_but_itself_its_split_and_the_setting(mini_data: Path) -> None:
    docs = documents()[:40]
    forwards = {doc["id"]: options_of(doc, "fine", SIBLINGS) for doc in docs}
    backwards = {doc["id"]: options_of(doc, "fine", SIBLINGS) for doc in reversed(docs)}
    assert forwards == backwards
    other = {doc["id"]: options_of(doc, "fine", Setting("siblings", seed=1)) for doc in docs}
    assert other != forwards
    orders = {options.keys for options in forwards.values()}
    assert len(orders) > 20


def test_siblings_come_first_and_the_next_level_up_fills_what_they_leave(mini_data: Path) -> None:
    kinds = kinds_of("mini", "fine")
    for doc in documents()[::40]:
        four = options_of(doc, "fine", SIBLINGS)
        assert {kinds[key].parent for key in four.keys} == {doc["coarse"][0]}
        assert four.keys[four.right] == doc["concept_id"]
        six = options_of(doc, "fine", Setting("siblings", options=6))
        assert Counter(kinds[key].parent for key in six.keys)[doc["coarse"][0]] == 4
        assert {kinds[key].above for key in six.keys} == {doc["superordinate"]}
        coarse = options_of(doc, "coarse", SIBLINGS)
        assert {kinds_of("mini", "coarse")[key].parent for key in coarse.keys} == {doc["superordinate"]}
        assert coarse.names[coarse.right] == doc["coarse"][0]


def test_random_options_are_drawn_from_the_whole_level(mini_data: Path) -> None:
    kinds = kinds_of("mini", "fine")
    drawn = [options_of(doc, "fine", Setting("random")) for doc in documents()[::10]]
    assert sum(kinds[key].above != kinds[one.keys[one.right]].above for one in drawn for key in one.keys) > len(drawn)
    assert all(len(set(one.names)) == 4 for one in drawn)


def test_a_level_with_fewer_concepts_than_options_offers_all_of_them(mini_data: Path) -> None:
    found = options_of(documents()[0], "coarse", Setting("siblings", options=26))
    assert len(found.names) == 16
    assert found.letters == "ABCDEFGHIJKLMNOP"


@pytest.mark.parametrize(
    "dataset", ["cub", "aircraft", "dogs", "cars", "nabirds", "pets", "flowers", "food", "vegfru", "animals"]
)
def test_no_wrong_option_is_a_name_that_counts_as_right(dataset: str) -> None:
    """By the taxonomies alone: a document of a concept, in a protocol's order, for which no prepared split is needed."""
    for level in ("coarse", "fine"):
        for kind in list(kinds_of(dataset, level).values())[:60]:
            one = kind.example
            doc = {
                "id": f"{dataset}/test/{kind.key}", "superordinate": one.superordinate, "coarse": list(one.coarse),
                "fine": list(one.fine), "concept_id": one.concept_id,
            }  # fmt: skip
            found = options_of(doc, level, Setting("foci", None, 10))
            labels = {label.casefold() for label in doc[level]}
            wrong = [name for place, name in enumerate(found.names) if place != found.right]
            assert not labels & {name.casefold() for name in wrong}
            assert len(set(found.names)) == len(found.names) >= min(7, len(kinds_of(dataset, level)))


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("siblings", SIBLINGS),
        ("random,options=8,seed=3", Setting("random", None, 8, 3)),
        ("embedding:a/b,c.json,seed=2", Setting("embedding", Path("a/b,c.json"), 4, 2)),
        ("foci:negatives", Setting("foci", Path("negatives"))),
    ],
)
def test_a_setting_is_read_as_it_is_written(text: str, setting: Setting) -> None:
    assert parse(text) == setting


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hard", "no way to choose options"),
        ("siblings:file", "no way to choose options"),
        ("embedding", "no way to choose options"),
        ("siblings,options=1", "2 to 26"),
        ("random,options=27", "2 to 26"),
        ("foci:f.json,options=5", "foci has 4 options"),
        ("random,seed=1,seed=2", "gives seed twice"),
        ("random,options=x", "no way to choose options"),
    ],
)
def test_a_setting_that_is_none_is_refused_with_what_can_be_written(text: str, told: str) -> None:
    with pytest.raises(ChoicesError, match=told):
        parse(text)
