"""Mixtures: balance, determinism, what is held out, and the checks of what comes in."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image, ImageOps

from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance, knowledge_path, write_knowledge
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import OutputError
from finer_tasks.training.errors import MixtureError, RecipeError
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.leakage import NameSearch, concept_names
from finer_tasks.training.mixture.recipe import DatasetShare, GeneralSet, HeldOut, MixtureRecipe
from finer_tasks.training.mixture.selection import Candidates, select
from finer_tasks.training.mixture.templates import load_templates
from finer_tasks.training.recipe import read_recipe
from tests import official
from tests.held_locks import held

RECIPE = MixtureRecipe("t", {"mini": DatasetShare(per_concept=2)}, held_out=HeldOut(superordinates=("Dog",)))


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "conversations.jsonl").read_text(encoding="utf-8").splitlines()]


def test_styles_take_the_same_images_and_hold_out_the_same(mini_data: Path, tmp_path: Path) -> None:
    finer = build_mixture(RECIPE, tmp_path / "finer")
    build_mixture(RECIPE, tmp_path / "again")
    build_mixture(replace(RECIPE, style="direct"), tmp_path / "direct")
    rows, direct = rows_of(tmp_path / "finer"), rows_of(tmp_path / "direct")
    assert [row["id"] for row in rows] == [row["id"] for row in direct]
    assert rows == rows_of(tmp_path / "again")
    assert {len(row["conversations"]) for row in rows} == {6}
    assert {len(row["conversations"]) for row in direct} == {2}
    assert finer["conversations"] == 48 * 2
    assert finer["counts"]["images_per_concept"] == {"least": 2, "most": 2}
    assert not any("dog" in row["id"] or "/test/" in row["id"] for row in rows)
    assert all((tmp_path / "finer/images" / row["image"]).is_file() for row in rows)
    assert all(row["conversations"][0]["value"].count("<image>") == 1 for row in rows)
    assert load_from_disk(str(tmp_path / "finer/arrow"))[:]["id"] == [row["id"] for row in rows]


def test_single_concepts_are_held_out_by_name(mini_data: Path, tmp_path: Path) -> None:
    out = ("mini/" + rows_of_concepts()[0], "mini/" + rows_of_concepts()[1])
    recipe = replace(RECIPE, held_out=HeldOut(concepts=out))
    card = build_mixture(recipe, tmp_path / "m")
    assert card["counts"]["concepts"] == 62
    assert card["left_out"]["mini"]["held-out concept"] == 96
    names = concept_names(c for c in concepts_of("mini") if f"mini/{c.concept_id}" in out)
    assert not any(NameSearch(names).find(json.dumps(row["conversations"])) for row in rows_of(tmp_path / "m"))
    with pytest.raises(MixtureError, match="held-out concept 'dodo' is none of mini"):
        build_mixture(replace(RECIPE, held_out=HeldOut(concepts=("mini/dodo",))), tmp_path / "n")
    with pytest.raises(RecipeError, match="held-out concept 'dodo': give it as dataset/concept_id"):
        build_mixture(replace(RECIPE, held_out=HeldOut(concepts=("dodo",))), tmp_path / "n")


def rows_of_concepts() -> list[str]:
    return sorted(concept.concept_id for concept in concepts_of("mini"))


def test_general_entries_that_name_a_held_out_concept_are_left_out(mini_data: Path, tmp_path: Path) -> None:
    dog = next(c for c in load_taxonomy("mini").classes.values() if c.superordinate == "Dog").fine[0]
    said = [[{"from": "human", "value": "Hello"}, {"from": "gpt", "value": text}] for text in ("Hi", f"A {dog}!")]
    (tmp_path / "g.json").write_text(json.dumps([{"id": str(i), "conversations": turns} for i, turns in enumerate(said)]))
    card = build_mixture(replace(RECIPE, general=GeneralSet(tmp_path / "g.json", tmp_path)), tmp_path / "out")
    assert card["counts"]["source"]["general"] == 1
    assert card["names_a_held_out_concept"]["general"] == 1


def test_an_existing_folder_is_never_overwritten_unasked(mini_data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(MixtureError, match="exists"):
            build_mixture(RECIPE, tmp_path / "mine", overwrite)
    assert (tmp_path / "mine/thesis.txt").read_text() == "x"


def test_selection_is_balanced_up_to_the_caps() -> None:
    concepts = np.repeat([0, 1, 2], [50, 5, 20])
    groups = np.repeat([0, 0, 1], [50, 5, 20])
    candidates = Candidates(concepts, groups, np.ones(75, dtype=bool))
    chosen = select(candidates, DatasetShare(cap=18), (0, 0))
    assert np.bincount(concepts[chosen]).tolist() == [7, 5, 6] or np.bincount(concepts[chosen]).tolist() == [6, 5, 7]
    by_group = select(candidates, DatasetShare(cap=8, cap_by="superordinate"), (0, 0))
    assert np.bincount(groups[by_group]).tolist() == [8, 8]


def test_names_are_found_as_whole_words() -> None:
    search = NameSearch(["Laysan Albatross", "Crow"])
    assert search.find("It is a laysan  albatross.") == "laysan albatross"
    assert search.find("a crowned lapwing") is None


def test_there_are_twenty_templates_a_slot_and_all_can_be_filled() -> None:
    blanks = dict.fromkeys(("noun", "coarse_term", "fine_term", "coarse", "attributes"), "x")
    for templates in load_templates().values():
        assert len(set(templates)) >= 20
        assert all("{" not in template.format(**blanks) for template in templates)


def test_recipes_point_at_the_line_and_the_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\ndatasets:\n  mini:\n    per_concpt: 3\n")
    with pytest.raises(RecipeError, match=r"r.yaml:4: unknown key 'datasets.mini.per_concpt'. Did you mean 'per_concept'\?"):
        read_recipe(MixtureRecipe, path)
    path.write_text("name: x\ndatasets: {mini: }\n")
    assert read_recipe(MixtureRecipe, path, ["seed=3", "held_out.superordinates=[Dog]"]).held_out.superordinates == ("Dog",)


def test_the_card_counts_what_is_kept_and_names_what_could_not_be_compared(mini_data: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, held_out=HeldOut(datasets=("dogs",)))  # not prepared; its Basset is four concepts of mini
    card = build_mixture(recipe, tmp_path / "out")
    counts, kept = card["counts"], 60 * 2
    assert card["names_a_held_out_concept"]["mini/finer"] == 4 * 2
    assert card["conversations"] == len(rows_of(tmp_path / "out")) == kept
    assert sum(counts["superordinate"].values()) == kept
    assert counts["concepts"] == 60
    assert sum(number for template, number in counts["template"].items() if template.startswith("fine_question")) == kept
    assert card["near_duplicates_not_checked"] == {"dogs": "not prepared"}


def test_images_that_are_near_to_any_test_set_or_cannot_be_decoded_are_left_out(tmp_path: Path) -> None:
    roots = {"cub": official.cub(tmp_path / "cub"), "nabirds": official.nabirds(tmp_path / "nabirds")}
    splits = {}
    for name, root in roots.items():
        splits[name] = load_from_disk(str(prepare(Request(name, root, allow_partial=True)).data))
        concepts = set(splits[name]["train"]["concept_id"])
        lists = [ConceptAttributes(key, key, ("red cap",), (), Provenance("made up")) for key in concepts]
        write_knowledge(knowledge_path(name), lists)
    near, other = (roots["cub"] / path for path in splits["cub"]["train"]["image"])
    shutil.copy(roots["nabirds"] / splits["nabirds"]["test"]["image"][0], near)
    recipe = MixtureRecipe("t", {"cub": None, "nabirds": None})
    card = build_mixture(recipe, tmp_path / "out")
    assert card["left_out"]["cub"]["near-duplicate of a test image"] == 1
    assert [row["image"] for row in rows_of(tmp_path / "out") if row["image"].startswith("cub")] == [
        f"cub/images/{other.parent.name}/{other.name}"
    ]

    with Image.open(roots["nabirds"] / splits["nabirds"]["test"]["image"][0]) as tested:
        ImageOps.mirror(tested).save(near, quality=95)
    prepare(Request("cub", roots["cub"], allow_partial=True))
    card = build_mixture(recipe, tmp_path / "mirrored")
    assert card["left_out"]["cub"]["near-duplicate of a test image"] == 1
    strict = build_mixture(replace(recipe, near_duplicate_bits=0), tmp_path / "strict")
    assert strict["left_out"]["cub"]["near-duplicate of a test image"] == 0

    near.write_bytes(near.read_bytes()[:60])
    recipe = replace(recipe, near_duplicates="ignore")
    with pytest.raises(MixtureError, match=rf"1 images of cub cannot be decoded, .*{near.name}.*--drop-broken"):
        build_mixture(recipe, tmp_path / "again")
    card = build_mixture(replace(recipe, drop_broken=True), tmp_path / "again")
    assert card["left_out"]["cub"]["image that cannot be decoded"] == 1
    assert card["counts"]["source"]["cub/finer"] == 1


def test_two_builds_into_one_folder_are_refused_and_a_full_disk_leaves_nothing(mini_data: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with held(tmp_path / "a/out"), pytest.raises(OutputError, match="being written by another process"):
        build_mixture(RECIPE, tmp_path / "a/out")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(OutputError, match="out cannot be written: File too large"):
            build_mixture(RECIPE, tmp_path / "a/out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list((tmp_path / "a").iterdir()) == []
