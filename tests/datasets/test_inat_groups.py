"""The groups of iNaturalist's species: plain names, and genera that the name of their family would mislead about."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.readers.inat import concept_of
from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.scoring.classification import exact_match


def inat(name: str, common: str, family: str, order: str = "", kind: str = "") -> Concept:
    category = {
        "name": name, "common_name": common, "genus": name.split()[0], "family": family, "order": order, "class": kind,
        "supercategory": "Animalia",
    }  # fmt: skip
    return concept_of(category, Path("val.json"))


@pytest.mark.parametrize(
    ("name", "common", "family", "order", "group"),
    [
        ("Sterna paradisaea", "Arctic Tern", "Laridae", "Charadriiformes", "Tern"),
        ("Larus marinus", "Great Black-backed Gull", "Laridae", "Charadriiformes", "Gull"),
        ("Cyanocitta cristata", "Blue Jay", "Corvidae", "Passeriformes", "Jay"),
        ("Corvus corax", "Common Raven", "Corvidae", "Passeriformes", "Raven"),
        ("Meleagris gallopavo", "Wild Turkey", "Phasianidae", "Galliformes", "Turkey"),
        ("Vulpes vulpes", "Red Fox", "Canidae", "Carnivora", "Fox"),
        ("Ardea alba", "Great Egret", "Ardeidae", "Pelecaniformes", "Egret"),
        ("Ardea herodias", "Great Blue Heron", "Ardeidae", "Pelecaniformes", "Heron"),
        ("Megaptera novaeangliae", "Humpback Whale", "Balaenopteridae", "Artiodactyla", "Rorqual"),
        ("Bison bison", "American Bison", "Bovidae", "Artiodactyla", "Bison"),
        ("Toxicodendron radicans", "Eastern Poison Ivy", "Anacardiaceae", "Sapindales", "Poison Ivy and Oak"),
        ("Morus bassanus", "Northern Gannet", "Sulidae", "Suliformes", "Gannet"),
        ("Morus alba", "White Mulberry", "Moraceae", "Rosales", "Mulberry"),
        ("Dipsas indica", "", "Dipsadidae", "Squamata", "Rear-fanged Snake"),
        ("Arion rufus", "Red Slug", "Arionidae", "Stylommatophora", "Slug"),
        ("Pandion haliaetus", "Osprey", "Pandionidae", "Accipitriformes", "Hawk"),
    ],
)
def test_a_species_of_inaturalist_is_in_the_group_that_people_put_it_in(
    name: str, common: str, family: str, order: str, group: str
) -> None:
    concept = inat(name, common, family, order)
    assert concept.coarse[0] == group
    assert concept.coarse[-1] == family


@pytest.mark.parametrize(
    ("name", "family", "order", "noun"),
    [
        ("Hyles lineata", "Sphingidae", "Lepidoptera", "Moth"),
        ("Danaus plexippus", "Nymphalidae", "Lepidoptera", "Butterfly"),
        ("Pantherophis obsoletus", "Colubridae", "Squamata", "Snake"),
        ("Crotalus atrox", "Viperidae", "Squamata", "Snake"),
        ("Zonotrichia leucophrys", "Passerellidae", "Passeriformes", "Sparrow"),
        ("Hyla cinerea", "Hylidae", "Anura", "Frog"),
        ("Balaena mysticetus", "Balaenidae", "Artiodactyla", "Whale"),
    ],
)
def test_the_plain_noun_of_a_group_is_accepted(name: str, family: str, order: str, noun: str) -> None:
    assert exact_match(noun, inat(name, "", family, order).coarse)


def test_a_group_name_that_is_the_species_own_is_passed_over() -> None:
    assert inat("Upupa epops", "Hoopoe", "Upupidae").coarse == ("Upupidae",)
    assert inat("Anhinga anhinga", "Anhinga", "Anhingidae").coarse == ("Darter", "Anhingidae")


def test_a_genus_or_species_of_inaturalist_is_listed_once_below_a_known_kind_of_family() -> None:
    genera = load_taxonomy("inat").raw["genera"]
    for family, groups in genera.items():
        listed = [name for group in groups for name in group["of"]]
        assert len(listed) == len(set(listed)), family
        assert family.endswith(("idae", "aceae")), family
