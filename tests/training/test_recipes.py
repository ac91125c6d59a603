"""The recipes that come with the package are valid, and the two of the paper differ in style alone."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import yaml

from finer_tasks.datasets.registry import DATASETS
from finer_tasks.training.mixture.recipe import MixtureRecipe
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.tuning.recipe import TrainRecipe

FOLDER = Path(str(resources.files("finer_tasks.training") / "recipes"))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_recipe_that_comes_with_the_package_is_valid(name: str) -> None:
    keys = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    kind = TrainRecipe if "model" in keys else Plan if "vision" in keys else MixtureRecipe
    recipe = read_recipe(kind, Path(name))
    if isinstance(recipe, MixtureRecipe):
        recipe.check(tuple(DATASETS))


def test_the_paper_recipes_hold_its_setting_and_the_same_images() -> None:
    tuned = read_recipe(TrainRecipe, Path("llava-1.5-7b"))
    assert (tuned.lora.rank, tuned.lora.alpha, tuned.epochs, tuned.global_batch_size) == (128, 256, 1, 64)
    assert (tuned.learning_rate, tuned.schedule, tuned.warmup_ratio) == (2e-4, "cosine", 0.03)
    finer, direct = (read_recipe(MixtureRecipe, Path(f"{style}-865k")) for style in ("finer", "direct"))
    assert replace(finer, name="direct-865k", style="direct") == direct
