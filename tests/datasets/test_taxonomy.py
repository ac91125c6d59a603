"""The taxonomies are data that people argue about: complete, unambiguous, and in step with public sources."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from finer_tasks.datasets.taxonomy import load_taxonomy, slug
from finer_tasks.errors import TaxonomyError
from finer_tasks.metrics.classification import normalize

SIZES = {
    "cub": (200, 200),
    "aircraft": (100, 100),
    "dogs": (120, 120),
    "cars": (196, 196),
    "nabirds": (555, 404),
    "mini": (64, 64),
}


@pytest.mark.parametrize(("dataset", "sizes"), SIZES.items())
def test_every_class_is_there_once(dataset: str, sizes: tuple[int, int]) -> None:
    taxonomy = load_taxonomy(dataset)
    assert (len(taxonomy.classes), len({c.concept_id for c in taxonomy.classes.values()})) == sizes


@pytest.mark.parametrize("dataset", SIZES)
def test_a_fine_label_names_one_concept_only(dataset: str) -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    families: dict[str, str] = {}
    for concept in load_taxonomy(dataset).classes.values():
        # A family is an accepted label of all its aircraft, so it may name several of one family.
        families[concept.concept_id] = concept.fine[-1] if dataset == "aircraft" else concept.concept_id
        for label in (*concept.fine, *concept.aliases):
            owners[normalize(label)].add(concept.concept_id)
    shared = {label for label, ids in owners.items() if len({families[concept_id] for concept_id in ids}) > 1}
    assert shared == set()


@pytest.mark.parametrize("dataset", SIZES)
def test_labels_survive_normalisation_and_choices_cover_the_labels(dataset: str) -> None:
    taxonomy = load_taxonomy(dataset)
    for name, concept in taxonomy.classes.items():
        assert all(normalize(label) for label in (*concept.fine, *concept.coarse)), name
        assert concept.superordinate in taxonomy.superordinate_choices
        if taxonomy.coarse_choices:
            assert concept.coarse[0] in taxonomy.coarse_choices


def test_official_numbers_of_the_levels() -> None:
    aircraft = load_taxonomy("aircraft").classes
    assert len({c.coarse[0] for c in aircraft.values()}) == 30
    assert len({c.fine[-1] for c in aircraft.values()}) == 70
    assert len({c.coarse[-1] for c in load_taxonomy("nabirds").classes.values()}) == 50
    assert len({c.coarse[0] for c in load_taxonomy("cars").classes.values()}) == 7


def test_an_unknown_dataset_or_class_is_named() -> None:
    with pytest.raises(TaxonomyError, match="unknown dataset 'flowers'; known are cub"):
        load_taxonomy("flowers")
    with pytest.raises(TaxonomyError, match=r"class 'Dodo' is not in the taxonomy of cub .* 200 classes"):
        load_taxonomy("cub").concept("Dodo")


def test_slug() -> None:
    assert slug("Brewer's Blackbird") == "brewers_blackbird"
    assert slug("F-16A/B") == "f_16a_b"


def test_cub_covers_the_real_classes_and_groups_agree_with_families(real: Path) -> None:
    names = [line.split(".", 1)[1].strip() for line in (real / "cub/classes.txt").read_text().splitlines()]
    classes = load_taxonomy("cub").classes
    assert set(names) == set(classes)
    with (real / "hierarchies/cub_family_order_flamingo.csv").open() as file:
        family = {slug(row["class"]): row["family"] for row in csv.DictReader(file)}
    families: dict[str, set[str]] = defaultdict(set)
    for name, concept in classes.items():
        families[concept.coarse[0]].add(family.get(slug(name), ""))
    mixed = {group: found - {""} for group, found in families.items() if len(found - {""}) > 1}
    # Everyday groups that do not follow families: words of English, not of taxonomy.
    assert set(mixed) == {"Catbird", "Grosbeak", "Sparrow"}


def test_dogs_cover_the_real_folders_and_terriers_are_terriers(real: Path) -> None:
    folders = (real / "dogs/class_dirs.txt").read_text().split()
    classes = load_taxonomy("dogs").classes
    assert {folder.split("-", 1)[1] for folder in folders} == set(classes)
    with (real / "hierarchies/dogs_wordnet.csv").open() as file:
        paths = {row["class_name"]: row["path"] for row in csv.DictReader(file)}
    for word, group in (("retriever", "Retriever"), ("setter", "Setter"), ("corgi", "Corgi"), ("poodle", "Poodle")):
        below = {name for name, path in paths.items() if f"> {word} >" in path}
        assert below
        assert all(classes[name].coarse[0] == group for name in below), word
    not_terriers = {name for name, path in paths.items() if "> terrier >" in path and "Terrier" not in classes[name].coarse}
    assert not_terriers == {"giant_schnauzer", "standard_schnauzer", "Lhasa"}


def test_cars_cover_the_real_names_and_bodies_agree_with_published_labels(real: Path) -> None:
    names = [line for line in (real / "cars/class_names.txt").read_text().splitlines() if line]
    classes = load_taxonomy("cars").classes
    assert set(names) == set(classes)
    with (real / "hierarchies/cars_bodytype_flamingo.csv").open() as file:
        published = {row["class_name"]: row["body_type"] for row in csv.DictReader(file)}
    ours = {"Cab": "Pickup", "Minivan": "Van", "Wagon": "Van"}
    differing = {name for name, body in published.items() if classes[name].coarse[0] != ours.get(body, body)}
    assert differing == {"FIAT 500 Abarth 2012"}
