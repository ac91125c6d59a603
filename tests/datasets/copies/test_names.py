"""What the names in copies mean: spellings seen in the wild, aliases, and what must not be guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.copies.copy import class_names_of
from finer_tasks.datasets.copies.names import read_class_names
from finer_tasks.datasets.registry import READERS
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import DatasetContentError, DatasetLayoutError
from tests import official


@pytest.mark.parametrize(
    ("dataset", "name", "class_id"),
    [
        ("cub", "001.Black_footed_Albatross", "Black_footed_Albatross"),
        ("cub", "Black Footed Albatross", "Black_footed_Albatross"),
        ("cub", "Arctic Tern", "Artic_Tern"),
        ("cub", "Cardinalis cardinalis", "Cardinal"),
        ("dogs", "n02099267-flat-coated_retriever", "flat-coated_retriever"),
        ("dogs", "Shih Tzu", "Shih-Tzu"),
        ("aircraft", "747-400", "747-400"),
        ("aircraft", "F-16AB", "F-16A/B"),
        ("aircraft", "F_A_18", "F/A-18"),
        ("cars", "Ram C-V Cargo Van Minivan 2012", "Ram C/V Cargo Van Minivan 2012"),
        ("flowers", "pink primrose", "1"),
        ("nabirds", "Blue-winged Teal  (Male )", "Blue-winged Teal (Male)"),
    ],
)
def test_names_as_copies_spell_them(dataset: str, name: str, class_id: str) -> None:
    match = class_names_of(dataset, None).find(name)
    assert match is not None
    assert match.class_id == class_id


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("cub", "Sparrow"),
        ("cub", "17"),
        ("flowers", "1"),  # the name of a class, but a label from 0 on means another
        ("aircraft", "Boeing 747"),  # a family of four variants
        ("aircraft", "747"),
    ],
)
def test_groups_families_and_numbers_are_no_class(dataset: str, name: str) -> None:
    assert class_names_of(dataset, None).find(name) is None


@pytest.mark.parametrize("dataset", [name for name, reader in READERS.items() if reader.concepts_in is None])
def test_every_class_is_found_by_each_of_its_own_names_or_not_at_all(dataset: str) -> None:
    names, classes = class_names_of(dataset, None), load_taxonomy(dataset).classes
    for class_id, concept in classes.items():
        for name in (class_id, *concept.fine):
            match = names.find(name)
            if match is None:
                assert class_id.isdecimal() or name != class_id
            else:
                assert match.concept.concept_id == concept.concept_id or name in (*match.concept.fine, match.class_id)


def test_a_species_with_several_classes_is_the_concept_under_its_own_name() -> None:
    names = class_names_of("nabirds", None)
    match = names.find("northern-cardinal")
    assert match is not None
    assert match.concept.fine[0] == "Northern Cardinal"


def test_the_report_says_what_matched_what_did_not_and_what_is_nearest() -> None:
    text = class_names_of("aircraft", None).match({"a": "A320", "b": "737-8000", "c": "Boeing 747"}).describe()
    assert text.splitlines()[:3] == [
        "1 of 3 class names match, 1 in another spelling",
        "  no class: 'b' (nearest: '737-800')",
        "  no class: 'c' (means 4 classes: 747-100, 747-200, 747-300, …)",
    ]
    assert "99 classes are not in the copy: 707-320, " in text


def test_names_of_numbers_come_as_lines_lists_or_mappings(tmp_path: Path) -> None:
    lines = official.write(tmp_path / "names.txt", "Pug", "Shih-Tzu")
    assert read_class_names(lines) == {"0": "Pug", "1": "Shih-Tzu"}
    assert read_class_names(official.write(tmp_path / "a.json", '["Pug", "Shih-Tzu"]')) == {"0": "Pug", "1": "Shih-Tzu"}
    assert read_class_names(official.write(tmp_path / "b.yaml", "7: Pug", "moggy: Shih-Tzu")) == {
        "7": "Pug",
        "moggy": "Shih-Tzu",
    }
    with pytest.raises(DatasetContentError, match=r"c\.yaml: expected a list of class names, or a mapping"):
        read_class_names(official.write(tmp_path / "c.yaml", "- 1", "- Pug"))


def test_the_names_of_inaturalist_stand_in_its_lists(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match=r"official lists alone\. Give their folder with --root"):
        class_names_of("inat", None)
    names = class_names_of("inat", official.inat(tmp_path))
    concept = next(iter(names.concepts.values()))
    genus, species = concept.fine[-1].split()
    match = names.find(f"00004_Animalia_Chordata_Aves_Any_Any_{genus}_{species}")
    assert match is not None
    assert match.concept == concept
    with pytest.raises(DatasetLayoutError, match="cub takes no --root beside a copy"):
        class_names_of("cub", tmp_path)
