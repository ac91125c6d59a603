"""Plans: what is refused, and which concepts each group holds out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finer_tasks.errors import ModelError
from finer_tasks.training.errors import RecipeError, TrainingError
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.experiment import reproduce
from finer_tasks.training.reproduce.partition import groups_of
from finer_tasks.training.reproduce.plan import HeldOutPart, Plan

PLAN = read_recipe(Plan, Path("mini-fast"))
FOLDER = "base.encoder={folder: x}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("seeds=[0, -1]", "seeds"),
        ("seeds=[1, 1]", "seeds names one twice"),
        ("levels=[coarse]", "levels lacks fine"),
        ("datasets=[cub]", "base.encoder.train is for mini alone"),
        ("datasets=[mars]", "'mars' is no dataset that is known here; known are cub, aircraft"),
        ("held_out.by=dataset", "held_out.by=dataset needs two datasets or more"),
        ("held_out={by: coarse, groups: 2, named: [[a]]}", "give either groups or named"),
        ("held_out.named=[[]]", "a group in named is empty"),
        ("base.checkpoint=finer-mini", "give either checkpoint, or encoder, language and projector"),
        ("base={}", "give either checkpoint, or encoder, language and projector"),
        ("base.encoder.folder=x", "give exactly one of train, folder, llava"),
        ("base.language.text=null", "a language model of a size is made here and needs text to learn from"),
        ("base.language.size.width=33", "width must be a multiple of twice the heads"),
        ("base.language.told=0", "base.language.told"),
        ("base.projector.learning_rate=.nan", "base.projector.learning_rate"),
        ("tuning.model=x", "tuning.model is set by the experiment"),
        ("tuning.rank=3", "tuning.rank: Unexpected keyword argument"),
        ("tuning.max_steps=0", "tuning.max_steps: Input should be greater than or equal to 1"),
        ("tuning.recipe=gone", "no recipe gone"),
        ("mixtures=[finer]", "mixtures"),
        ("mixtures=[finer, finer]", "mixtures names one twice"),
        ("arms=[closed]", "arms"),
        ("seeds=[true]", "seeds.0: Input should be a valid integer"),
        ("per_concept=1.0", "per_concept: Input should be a valid integer"),
    ],
)
def test_mistakes_are_told(given: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("[", r"\[")):
        read_recipe(Plan, Path("mini-fast"), [given])


def test_a_mistake_of_the_whole_names_the_value_given_and_an_item_is_told_once() -> None:
    with pytest.raises(RecipeError) as told:
        read_recipe(Plan, Path("mini-fast"), ["per_concept=2", "seeds=[1, 1]"])
    assert str(told.value) == "'seeds=[1, 1]': seeds names one twice."
    with pytest.raises(RecipeError) as told:
        read_recipe(Plan, Path("mini-fast"), ["datasets=[mars]"])
    assert "at least 1 item" not in str(told.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_args": "pretrained=finer-mini"}, "pretrained is set by the experiment"),
        ({"model_args": "bogus=1"}, "unknown model argument 'bogus'"),
        ({"batch_size": "abc"}, "batch_size=abc: give a positive number or auto"),
    ],
)
def test_what_would_fail_after_training_is_refused_before_it(
    mini_data: Path, tmp_path: Path, keys: dict[str, str], message: str
) -> None:
    with pytest.raises((TrainingError, ModelError), match=message):
        reproduce(replace(PLAN, **keys), tmp_path / "r")  # type: ignore[arg-type]
    assert not (tmp_path / "r").exists()


def test_tuning_starts_from_a_recipe_where_one_is_named() -> None:
    plan = read_recipe(Plan, Path("llava-1.5-7b"), ["tuning.max_steps=7"])
    recipe = plan.tuned(Path("m"), "base", Path("o"), 3)
    assert (recipe.lora.rank, recipe.dtype, recipe.max_steps) == (128, "bfloat16", 7)
    assert (recipe.model, recipe.mixture, recipe.output, recipe.seed) == ("base", Path("m"), Path("o"), 3)


def held_out(**keys: object) -> Plan:
    return replace(PLAN, held_out=HeldOutPart(**keys))  # type: ignore[arg-type]


def test_each_superordinate_in_turn_holds_out_every_concept_once(mini_data: Path) -> None:
    groups = groups_of(held_out(by="superordinate"))
    assert sorted(group.name for group in groups) == ["Airplane", "Bird", "Car", "Dog"]
    assert sorted(len(group.concepts) for group in groups) == [16] * 4
    assert len({key for group in groups for key in group.concepts}) == 64
    assert all(key.startswith("mini/") for group in groups for key in group.concepts)


@pytest.mark.parametrize(("by", "units"), [("coarse", 16), ("concept", 64)])
def test_units_are_divided_evenly_and_the_same_each_time(mini_data: Path, by: str, units: int) -> None:
    plan = held_out(by=by, groups=3)
    groups = groups_of(plan)
    assert groups == groups_of(plan)
    assert sum(len(group.units) for group in groups) == units
    sizes = [len(group.concepts) for group in groups]
    assert sum(sizes) == 64
    assert max(sizes) - min(sizes) <= (4 if by == "coarse" else 1)
    assert [set(a.concepts) & set(b.concepts) for a in groups for b in groups if a is not b] == [set()] * 6


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"by": "superordinate", "named": (("Cat",),)}, "'Cat' is no superordinate of the plan's data; there are"),
        ({"by": "superordinate", "named": (("Dog",), ("Dog",))}, "'Dog' is in two groups"),
        ({"by": "coarse", "groups": 17}, "held_out.groups=17: there are only 16 to divide"),
        ({"by": "superordinate", "groups": 1}, "the group 0 holds out all 64 concepts; nothing is left to tune on"),
    ],
)
def test_groups_that_cannot_be_are_refused(mini_data: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        groups_of(held_out(**keys))
