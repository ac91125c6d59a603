"""The taxonomies are data that people argue about: complete, unambiguous, and in step with public sources."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path

import pytest
import yaml

from finer_tasks.datasets import taxonomy as taxonomy_package
from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import TaxonomyError
from finer_tasks.scoring.classification import exact_match
from finer_tasks.scoring.strict import Lexicon, StrictScore, score_strict
from finer_tasks.text import normalize, slug

SIZES = {
    "cub": (200, 200),
    "aircraft": (100, 100),
    "dogs": (120, 120),
    "cars": (196, 196),
    "nabirds": (555, 404),
    "pets": (37, 37),
    "flowers": (102, 102),
    "food": (101, 101),
    "vegfru": (292, 292),
    "animals": (398, 398),
    "mini": (64, 64),
}


def words(label: str) -> str:
    """A form in which spellings of one name are the same."""
    return normalize(label.replace("-", " "))


def concepts(dataset: str) -> list[Concept]:
    return list(load_taxonomy(dataset).classes.values())


def fine_names(dataset: str) -> dict[str, set[str]]:
    """The concepts that each fine label or alias denotes."""
    bearers: dict[str, set[str]] = defaultdict(set)
    for concept in concepts(dataset):
        for label in (*concept.fine, *concept.aliases):
            bearers[words(label)].add(concept.concept_id)
    return bearers


@cache
def lexicon(dataset: str) -> Lexicon:
    return Lexicon.of(load_taxonomy(dataset), concepts(dataset))


def judge(dataset: str, class_name: str, level: str, answer: str) -> StrictScore:
    return score_strict(answer, asdict(load_taxonomy(dataset).classes[class_name]), level, lexicon(dataset))


def is_right(dataset: str, class_name: str, level: str, answer: str) -> bool:
    return judge(dataset, class_name, level, answer).right


@pytest.mark.parametrize(("dataset", "sizes"), SIZES.items())
def test_every_class_is_there_once(dataset: str, sizes: tuple[int, int]) -> None:
    taxonomy = load_taxonomy(dataset)
    assert (len(taxonomy.classes), len({c.concept_id for c in taxonomy.classes.values()})) == sizes


@pytest.mark.parametrize("dataset", SIZES)
def test_a_fine_name_denotes_one_concept_only(dataset: str) -> None:
    bearers = fine_names(dataset)
    # A family is an accepted label of all its aircraft, so its names denote several of one family.
    family = {c.concept_id: c.fine[-1] if dataset == "aircraft" else c.concept_id for c in concepts(dataset)}
    assert {name: ids for name, ids in bearers.items() if len({family[concept_id] for concept_id in ids}) > 1} == {}
    general = {words(label) for concept in concepts(dataset) for label in concept.general}
    assert general & set(bearers) == set()


# Names of a group that are names of a class too: the class or family is called like its group.
SAME_NAME = {
    "cub": {"cardinal", "frigatebird", "mockingbird"},
    "aircraft": set(),
    "dogs": set(),
    "cars": set(),
    "nabirds": set(),
    "pets": set(),
    "flowers": set(),
    "food": {"dumpling"},
    "vegfru": set(),
    "animals": set(),
    "mini": set(),
}


@pytest.mark.parametrize(("dataset", "reviewed"), SAME_NAME.items())
def test_a_group_and_a_class_are_not_called_the_same(dataset: str, reviewed: set[str]) -> None:
    groups = {words(label) for c in concepts(dataset) for label in (c.superordinate, *c.coarse, *c.coarse_aliases)}
    assert groups & set(fine_names(dataset)) == reviewed


# A group's alias that is another group's label: the same company, or kinds that belong to both.
SHARED_GROUP_NAMES = {
    "cub": {"mimid"},
    "aircraft": {"bombardier", "bombardier aerospace", "douglas", "lockheed", "lockheed martin", "mcdonnell douglas"},
    "dogs": {"companion dog", "shepherd dog", "spitz", "toy dog", "working dog"},
    "cars": set(),
    "nabirds": {"bunting", "mimid"},
    "pets": {"companion dog", "toy dog", "working dog"},
    "flowers": {"liliaceae"},
    "food": set(),
    "vegfru": {"cabbage"},
    "animals": {"fowl", "gallinaceous bird", "songbird"},
    "mini": set(),
}


@pytest.mark.parametrize(("dataset", "reviewed"), SHARED_GROUP_NAMES.items())
def test_an_alias_of_a_group_is_the_label_of_another_only_where_reviewed(dataset: str, reviewed: set[str]) -> None:
    labels = {words(label) for concept in concepts(dataset) for label in concept.coarse}
    aliases = {words(alias) for concept in concepts(dataset) for alias in concept.coarse_aliases}
    assert aliases & labels == {words(label) for label in reviewed}


# Classes whose fine label lies in the labels of its group: an echo of the question is right.
ECHOES = {
    "cub": {"Northern Cardinal", "Frigatebird", "Northern Mockingbird"},
    "aircraft": {"Gulfstream IV", "Gulfstream V"},
    "dogs": set(),
    "cars": set(),
    "nabirds": {"Snow Bunting", "Bushtit"},  # their nodes of hierarchy.txt
    "pets": set(),
    "flowers": {"Magnolia"},
    "food": set(),
    "vegfru": set(),
    "animals": set(),
    "mini": set(),
}


@pytest.mark.parametrize(("dataset", "reviewed"), ECHOES.items())
def test_the_group_gives_the_class_away_only_where_there_is_no_other_name(dataset: str, reviewed: set[str]) -> None:
    echoes = {concept.fine[0] for concept in concepts(dataset) if exact_match("/".join(concept.coarse), concept.fine)}
    assert echoes == reviewed


@pytest.mark.parametrize("dataset", SIZES)
def test_labels_survive_normalisation_and_choices_cover_the_labels(dataset: str) -> None:
    taxonomy = load_taxonomy(dataset)
    for name, concept in taxonomy.classes.items():
        assert all(normalize(label) for label in (*concept.fine, *concept.coarse)), name
        assert concept.superordinate in taxonomy.superordinate_choices
        if taxonomy.coarse_choices:
            assert concept.coarse[0] in taxonomy.coarse_choices


def test_breeds_of_two_datasets_are_grouped_alike() -> None:
    """Of the same concept id; three more breeds are in both under other names or in a wider class."""
    dogs, pets = ({concept.concept_id: concept for concept in concepts(dataset)} for dataset in ("dogs", "pets"))
    both = dogs.keys() & pets.keys()
    assert len(both) == 19
    for name in both:
        assert (dogs[name].coarse, dogs[name].superordinate) == (pets[name].coarse, pets[name].superordinate), name


def test_official_numbers_of_the_levels() -> None:
    aircraft = load_taxonomy("aircraft").classes
    assert len({c.coarse[0] for c in aircraft.values()}) == 30
    assert len({c.fine[-1] for c in aircraft.values()}) == 70
    assert len({c.coarse[-1] for c in load_taxonomy("nabirds").classes.values()}) == 50
    assert {c.coarse[0] for c in concepts("cars")} == set(load_taxonomy("cars").coarse_choices)


def test_an_unknown_dataset_or_class_is_named() -> None:
    with pytest.raises(TaxonomyError, match=r"there is no taxonomy/fruit\.yaml"):
        load_taxonomy("fruit")
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
    ours = {"Cab": "Pickup", "Minivan": "Van"}
    differing = {name for name, body in published.items() if classes[name].coarse[0] != ours.get(body, body)}
    assert differing == {"FIAT 500 Abarth 2012", "Chevrolet HHR SS 2010", "Ford E-Series Wagon Van 2012"}


def test_the_body_of_a_car_is_the_one_its_name_says_and_the_authors_label_is_accepted() -> None:
    classes = load_taxonomy("cars").classes
    said = {"Wagon": "Wagon", "Minivan": "Van", "Van": "Van", "Cab": "Pickup", "SuperCab": "Pickup"}
    for body in ("Sedan", "SUV", "Coupe", "Convertible", "Hatchback"):
        said[body] = body
    for name, concept in classes.items():
        last = name.split()[-2]
        assert concept.coarse[0] == said.get(last, concept.coarse[0]), name
        assert "Van" in concept.coarse or concept.coarse[0] not in ("Wagon", "Van"), name


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("Chevrolet Corvette ZR1 2012", "2012 Chevy Corvette ZR1"),
        ("Chevrolet Corvette ZR1 2012", "Corvette ZR1 2012"),
        ("Volkswagen Golf Hatchback 1991", "1991 VW Golf"),
        ("Mercedes-Benz C-Class Sedan 2012", "2012 Merc C-Class saloon"),
        ("Dodge Ram Pickup 3500 Quad Cab 2009", "2009 Dodge Ram 3500 Quad Cab"),
        ("Land Rover Range Rover SUV 2012", "Range Rover 2012"),
        ("Jaguar XK XKR 2012", "2012 Jaguar XKR"),
        ("BMW 3 Series Wagon 2012", "2012 BMW 3 Series estate"),
        ("AM General Hummer SUV 2000", "2000 Hummer H1"),
    ],
)
def test_cars_are_known_by_the_names_people_give_them(name: str, answer: str) -> None:
    assert is_right("cars", name, "fine", answer)


def test_a_car_without_the_body_that_tells_it_from_another_is_not_named() -> None:
    assert not is_right("cars", "BMW 3 Series Wagon 2012", "fine", "2012 BMW 3 Series")
    assert not is_right("cars", "Bugatti Veyron 16.4 Coupe 2009", "fine", "2009 Bugatti Veyron")
    assert is_right("cars", "BMW 3 Series Wagon 2012", "coarse", "Wagon")
    assert not is_right("cars", "Audi S4 Sedan 2012", "coarse", "Wagon")


def test_species_in_both_bird_datasets_have_the_same_groups_and_names() -> None:
    nabirds = {c.concept_id: c for c in concepts("nabirds")}
    shared = [(c, nabirds[c.concept_id]) for c in concepts("cub") if c.concept_id in nabirds]
    assert len(shared) == 137
    for cub, other in shared:
        assert (cub.coarse[0], set(cub.coarse) - set(other.coarse)) == (other.coarse[0], set()), cub.fine[0]
    assert is_right("nabirds", "Downy Woodpecker", "fine", "Picoides pubescens")
    assert is_right("nabirds", "Pine Grosbeak (Adult Male)", "coarse", "Grosbeak")
    assert is_right("nabirds", "Black Guillemot (Breeding)", "coarse", "auk")


def test_every_shared_bird_name_belongs_to_a_class() -> None:
    listed = yaml.safe_load(resources.files(taxonomy_package).joinpath("synonyms/birds.yaml").read_text(encoding="utf-8"))
    known = {c.concept_id for dataset in ("cub", "nabirds") for c in concepts(dataset)}
    assert {name for name in listed if slug(name) not in known} == set()


@pytest.mark.parametrize(
    ("variant", "answer"),
    [
        ("CRJ-900", "Bombardier Aerospace"), ("L-1011", "Lockheed Martin"), ("C-130", "Lockheed Martin Corporation"),
        ("F-16A/B", "Lockheed"), ("DHC-8-300", "Bombardier"), ("DC-8", "McDonnell Douglas"), ("Saab 340", "Saab-Scania AB"),
        ("Dornier 328", "Fairchild Dornier"), ("Metroliner", "Swearingen"), ("Spitfire", "Vickers Supermarine"),
    ],
)  # fmt: skip
def test_a_maker_is_known_by_its_other_names(variant: str, answer: str) -> None:
    assert is_right("aircraft", variant, "coarse", answer)


def test_groups_of_dogs_are_those_of_breeders() -> None:
    for guardian in ("Great_Pyrenees", "kuvasz", "komondor"):
        assert is_right("dogs", guardian, "coarse", "Livestock guardian")
        assert not is_right("dogs", guardian, "coarse", "Herding dog")
    assert not is_right("dogs", "Great_Pyrenees", "coarse", "Sennenhund")
    assert is_right("dogs", "Labrador_retriever", "coarse", "Sporting Group")
    assert is_right("dogs", "Yorkshire_terrier", "coarse", "Toy dog")
    assert is_right("dogs", "American_Staffordshire_terrier", "fine", "American Pit Bull Terrier")


@pytest.mark.parametrize(
    ("dataset", "class_name", "answer"),
    [
        ("dogs", "Eskimo_dog", "American Eskimo Dog"),
        ("dogs", "collie", "Bearded Collie"),
        ("dogs", "German_shepherd", "a White Shepherd"),
        ("cub", "White_Pelican", "Great White Pelican"),
        ("cub", "Cardinal", "Red-crested Cardinal"),
        ("nabirds", "White Ibis (Adult)", "Australian White Ibis"),
        ("aircraft", "Gulfstream IV", "Gulfstream G650"),
        ("aircraft", "Model B200", "Beechcraft King Air 350"),
        ("aircraft", "DHC-8-300", "Bombardier Dash 8 Q400"),
        ("aircraft", "Hawk T1", "UH-60 Black Hawk"),
    ],
)
def test_a_longer_name_of_something_else_is_not_the_class_whose_name_it_holds(
    dataset: str, class_name: str, answer: str
) -> None:
    assert not is_right(dataset, class_name, "fine", answer)


@pytest.mark.parametrize(
    ("dataset", "class_name", "right", "wrong"),
    [
        ("nabirds", "Mallard (Breeding male)", "Ducks, Geese, and Swans", "Goose"),
        ("nabirds", "Common Raven", "Crow", "Fish Crow"),
        ("cars", "Ford E-Series Wagon Van 2012", "Van", "Wagon"),
        ("cars", "BMW 3 Series Wagon 2012", "Van", "Minivan"),
        ("dogs", "Pomeranian", "Toy dog", "Chihuahua"),
    ],
)
def test_a_wider_group_is_right_where_it_is_named_itself_and_no_group_of_what_lies_below_it(
    dataset: str, class_name: str, right: str, wrong: str
) -> None:
    assert is_right(dataset, class_name, "coarse", right)
    found = judge(dataset, class_name, "coarse", wrong)
    assert (found.right, found.reason, found.depth) == (False, "wrong_coarse", 1)


def test_breeds_of_dogs_among_the_animals_have_the_names_of_the_dataset_of_dogs() -> None:
    dogs = {concept.concept_id: concept for concept in concepts("dogs")}
    breeds = [concept for concept in concepts("animals") if concept.concept_id in dogs]
    assert len(breeds) == 120
    assert all(dogs[breed.concept_id].fine == breed.fine for breed in breeds)
    assert is_right("animals", "n02099712", "coarse", "a dog")
    assert not is_right("animals", "n02099712", "coarse", "Fox")
    assert not is_right("animals", "n02509815", "fine", "Panda")


@pytest.mark.parametrize(
    ("dataset", "class_name", "right", "wrong"),
    [
        ("animals", "n02074367", "Sea cow", "Seal"),
        ("animals", "n02077923", "Seal", "Sea cow"),
        ("animals", "n01855672", "Waterfowl", "Duck"),
        ("animals", "n02480855", "Great ape", "Lesser ape"),
        ("animals", "n02412080", "Sheep", "Wild goat"),
        ("animals", "n01955084", "Mollusk", "Cephalopod"),
        ("animals", "n02264363", "Insect", "Dipteran"),
        ("animals", "n02117135", "Carnivore", "Herpestid"),
        ("food", "mussels", "Seafood", "Fish"),
        ("food", "grilled_salmon", "Fish", "Dip"),
        ("food", "onion_rings", "Side dish", "Dip"),
        ("food", "samosa", "Dumpling", "Dim sum"),
        ("food", "deviled_eggs", "Egg dish", "Breakfast"),
        ("food", "chocolate_mousse", "Dessert", "Custard"),
    ],
)
def test_an_alias_of_a_group_is_right_for_those_of_its_classes_that_are_it(
    dataset: str, class_name: str, right: str, wrong: str
) -> None:
    assert is_right(dataset, class_name, "coarse", right)
    assert not is_right(dataset, class_name, "coarse", wrong)
