from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.attributes.authors import read_authors
from finer_tasks.attributes.compare import check, differences, shared_attributes
from finer_tasks.attributes.cub_human import phrase_of, read_cub_human
from finer_tasks.attributes.knowledge import (
    ConceptAttributes,
    Knowledge,
    Provenance,
    fingerprint_of,
    is_visible,
    load_knowledge,
    read_knowledge,
    write_knowledge,
)
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import KnowledgeError
from tests import official


def entry(name: str, required: tuple[str, ...], likely: tuple[str, ...] = ()) -> ConceptAttributes:
    return ConceptAttributes(name, name.title(), required, likely, Provenance("test"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    entries = [entry("b", ("red body",), ("long tail",)), entry("a", ("blé crest",))]
    write_knowledge(tmp_path / "k.jsonl", entries)
    read = read_knowledge("cub", tmp_path / "k.jsonl")
    assert list(read.concepts.values()) == sorted(entries, key=lambda e: e.concept_id)
    assert read.fingerprint == fingerprint_of(entries)
    with pytest.raises(KnowledgeError, match="the attributes of cub lack concept 'c'"):
        read["c"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"required": ["red body", "Red body"]}, "'red body' is listed twice"),
        ({"required": [" "]}, "an attribute is empty"),
        ({"required": ["larger than a crow"]}, "'larger than a crow' is relative or cannot be seen"),
        ({"required": "red body"}, "'required' must be a list"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"concept_id": None}, "concept_id"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"concept_id": "a", "name": "A", "required": ["red body"], "likely": []}
    bad = {k: v for k, v in (good | {"concept_id": "b"} | change).items() if v is not None}
    path = official.write(tmp_path / "k.jsonl", json.dumps(good), "", json.dumps(bad))
    with pytest.raises(KnowledgeError, match=rf"k\.jsonl:3: .*{message}"):
        read_knowledge("cub", path)


def test_no_knowledge_is_explained() -> None:
    with pytest.raises(KnowledgeError, match="finer attributes import cub FILE, or finer attributes build cub"):
        load_knowledge("cub")


@pytest.mark.parametrize("phrase", ["weighs 2 kg", "loud call", "nests on cliffs", "smaller than a robin", "friendly temper"])
def test_what_cannot_be_seen(phrase: str) -> None:
    assert not is_visible(phrase)


@pytest.mark.parametrize("phrase", ["red body", "long curved bill", "four round windows"])
def test_what_can_be_seen(phrase: str) -> None:
    assert is_visible(phrase)


def test_the_authors_two_forms(tmp_path: Path) -> None:
    concepts = list(load_taxonomy("cub").classes.values())
    full = [
        {
            "id": 1,
            "name": "Laysan Albatross",
            "attr_binomial": {"required": ["x"], "likely": []},
            "attr_common": {
                "required": ["white head ", "large size, heavier than gulls"],
                "likely": ["dark eye patch", "white head"],
            },
        },
        {"id": 2, "name": "Dodo", "attr_common": {"required": ["gone"], "likely": []}},
    ]
    path = official.write(tmp_path / "full.json", json.dumps(full))
    entries, unknown = read_authors(path, concepts)
    assert unknown == ["Dodo"]
    assert entries[0].required == ("white head",)
    assert entries[0].likely == ("large size, heavier than gulls", "dark eye patch")
    pruned = official.write(
        tmp_path / "pruned.json", json.dumps([{"fine": ["black footed albatross"], "required": ["dark body"]}])
    )
    entries, unknown = read_authors(pruned, concepts)
    assert (entries[0].concept_id, entries[0].required, unknown) == ("black_footed_albatross", ("dark body",), [])
    with pytest.raises(KnowledgeError, match="entry 1: needs a name and a list"):
        read_authors(official.write(tmp_path / "bad.json", '[{"name": "Laysan Albatross"}]'), concepts)


@pytest.mark.parametrize(
    ("attribute", "phrase"),
    [
        ("has_bill_shape::hooked_seabird", "hooked seabird bill"),
        ("has_wing_color::blue", "blue wing"),
        ("has_primary_color::yellow", "mainly yellow plumage"),
        ("has_tail_shape::forked_tail", "forked tail"),
        ("has_wing_shape::rounded-wings", "rounded wings"),
        ("has_bill_shape::curved_(up_or_down)", "curved bill"),
        ("has_shape::perching-like", "perching-like"),
        ("has_head_pattern::crested", "crested head pattern"),
    ],
)
def test_human_attributes_in_words(attribute: str, phrase: str) -> None:
    assert phrase_of(attribute) == phrase


def test_real_human_attributes_of_cub(real: Path) -> None:
    entries = {e.concept_id: e for e in read_cub_human(real / "cub")}
    assert len(entries) == 200
    cardinal = entries["northern_cardinal"]
    assert "mainly red plumage" in (*cardinal.required, *cardinal.likely)
    assert "black wing" in (*entries["laysan_albatross"].required, *entries["laysan_albatross"].likely)
    assert all(e.required or e.likely for e in entries.values())
    strict = read_cub_human(real / "cub", required_from=90)
    assert sum(len(e.required) for e in strict) < sum(len(e.required) for e in entries.values())


def test_mini_is_exact_and_discriminates() -> None:
    found = check(load_knowledge("mini"), load_taxonomy("mini").classes.values())
    assert found.covered == found.concepts == 64
    assert not found.indistinguishable
    assert not found.shared_by_all_siblings


def test_check_and_difference() -> None:
    concepts = [c for c in load_taxonomy("cub").classes.values() if c.coarse[0] == "Albatross"]
    ids = [c.concept_id for c in concepts]
    one = Knowledge("cub", {ids[0]: entry(ids[0], ("white head", "hooked bill")), ids[1]: entry(ids[1], ("white head",))}, "x")
    found = check(one, concepts)
    assert found.missing == (ids[2],)
    assert found.shared_by_all_siblings == {"Albatross": ("white head",)}
    other = Knowledge("cub", {ids[0]: entry(ids[0], ("white head",), ("hooked bill",))}, "y")
    assert differences(one, other) == {
        ids[0]: {"-": ["required: hooked bill"], "+": ["likely: hooked bill"]},
        ids[1]: {"-": ["required: white head"], "+": []},
    }
    assert shared_attributes({}, {"Albatross": ids}) == {}
