from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.attributes.authors import AuthorsFile, read_authors
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
from finer_tasks.errors import FinerError, KnowledgeError
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
        ({"name": 3}, "'name' must be text"),
        ({"likely": [["tail"]]}, "an attribute is empty or no text"),
        ({"likely": ["tail\ud800"]}, "a lone surrogate"),
        ({"provenance": ["me"]}, "'provenance' must be an object with a source"),
        ({"provenance": {"source": "me", "reviewed": "false"}}, "'provenance.reviewed' must be true or false"),
        ({"provenance": {"source": "me", "by": "me"}}, "unknown field 'provenance.by'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"concept_id": "a", "name": "A", "required": ["red body"], "likely": []}
    bad = {k: v for k, v in (good | {"concept_id": "b"} | change).items() if v is not None}
    path = official.write(tmp_path / "k.jsonl", json.dumps(good), "", json.dumps(bad))
    with pytest.raises(KnowledgeError, match=rf"k\.jsonl:3: .*{message}"):
        read_knowledge("cub", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "k.jsonl:1: it is nested too deeply"),
        ('{"name": "Grèbe"}'.encode("latin-1"), "k.jsonl:1: not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_knowledge_base_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "k.jsonl").write_bytes(content)
    with pytest.raises(FinerError, match=message):
        read_knowledge("cub", tmp_path / "k.jsonl")
    with pytest.raises(FinerError, match=r"absent\.jsonl cannot be read: No such file or directory$"):
        read_knowledge("cub", tmp_path / "absent.jsonl")


def test_no_knowledge_is_explained() -> None:
    with pytest.raises(KnowledgeError, match="finer attributes import cub FILE, or finer attributes build cub"):
        load_knowledge("cub")


@pytest.mark.parametrize(
    "phrase",
    [
        "weighs 2 kg", "loud call", "melodious songs", "nests on cliffs", "smaller than a robin", "lighter than a crow",
        "friendly temper", "aggressive towards others", "loud bark", "barking", "wings of 30 inches",
    ],
)  # fmt: skip
def test_what_cannot_be_seen(phrase: str) -> None:
    assert not is_visible(phrase)


@pytest.mark.parametrize(
    "phrase",
    [
        "red body", "long curved bill", "four round windows", "smooth gray bark", "bark with deep furrows", "barked branches",
        "belly lighter than the back", "aggressive front grille", "friendly expression", "nest-like cup", "inchworm-like body",
    ],
)  # fmt: skip
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
    found = read_authors(path, concepts)
    assert found.unknown == ("Dodo",)
    assert found.entries[0].required == ("white head",)
    assert found.entries[0].likely == ("large size, heavier than gulls", "dark eye patch")
    pruned = official.write(
        tmp_path / "pruned.json", json.dumps([{"fine": ["black footed albatross"], "required": ["dark body"]}])
    )
    found = read_authors(pruned, concepts)
    assert (found.entries[0].concept_id, found.entries[0].required) == ("black_footed_albatross", ("dark body",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"name": "Laysan Albatross"}]', "entry 1: needs a name and a list"),
        ('[{"name": ["Laysan Albatross", 3], "required": []}]', "entry 1: needs a name and a list"),
        ('[{"name": "Laysan Albatross", "required": "white head"}]', "entry 1: needs a name and a list"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "Laysan Albatross"}', "expected a list"),
        ('["\\ud800"]', "lone surrogate"),
    ],
)
def test_broken_files_of_the_authors(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=rf"bad\.json.*{message}"):
        read_authors(official.write(tmp_path / "bad.json", content), load_taxonomy("cub").classes.values())


def authors_file(tmp_path: Path, dataset: str, *items: dict[str, Any]) -> AuthorsFile:
    path = official.write(tmp_path / "authors.json", json.dumps(items))
    return read_authors(path, load_taxonomy(dataset).classes.values())


def test_a_familys_attributes_go_to_each_of_its_variants(tmp_path: Path) -> None:
    """In any order of the file: "A320" is a variant and the family of three others, "Boeing 737" a family alone."""
    items: list[dict[str, Any]] = [
        {"name": "Boeing 737", "attr_binomial": {"required": ["two engines"], "likely": []}},
        {"name": "737-800", "attr_binomial": {"required": ["winglets"], "likely": ["two engines", "long body"]}},
        {"name": "A320", "attr_binomial": {"required": ["round nose"], "likely": []}},
        {"name": "A321", "attr_binomial": {"required": ["four doors a side"], "likely": []}},
    ]
    for order in (items, items[::-1]):
        found = authors_file(tmp_path, "aircraft", *order)
        required = {entry.concept_id: entry.required for entry in found.entries}
        assert required["a320"] == ("round nose",)
        assert required["a321"] == ("four doors a side", "round nose")
        assert required["737_800"] == ("winglets", "two engines")
        assert required["737_900"] == ("two engines",)
        assert set(found.ambiguous["A320"]) == {"a318", "a319", "a320", "a321"}
        assert len(found.ambiguous["Boeing 737"]) == 8
        assert len(found.entries) == 12


def test_two_names_together_tell_which_concept_is_meant(tmp_path: Path) -> None:
    found = authors_file(tmp_path, "aircraft", {"fine": ["Boeing 737", "737-800"], "required": ["winglets"]})
    assert [entry.concept_id for entry in found.entries] == ["737_800"]
    assert not found.ambiguous


def test_empty_lists_fall_back_or_are_counted(tmp_path: Path) -> None:
    empty, full = {"required": [], "likely": []}, {"required": ["white head"], "likely": []}
    found = authors_file(
        tmp_path,
        "cub",
        {"name": "Laysan Albatross", "attr_common": empty, "attr_binomial": full},
        {"name": "Sooty Albatross", "attr_common": empty, "attr_binomial": empty},
        {"concept": "Groove billed Ani", "required": [], "likely": ["ridged bill"]},
    )
    assert {entry.concept_id: entry.required for entry in found.entries} == {
        "laysan_albatross": ("white head",),
        "groove_billed_ani": (),
    }
    assert found.empty == ("Sooty Albatross",)


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


@pytest.mark.parametrize("shares", [(float("nan"), 30), (60, float("nan")), (200, 30), (60, -1), (10, 90)])
def test_percentages_that_select_nothing_or_everything_are_refused(shares: tuple[float, float], tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="both are above 0 and at most 100"):
        read_cub_human(tmp_path, *shares)
