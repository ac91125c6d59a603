"""The recipes that come with the package: valid, with a head that says how to launch them, listed and copied."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from finer_tasks.cli.main import main, parse_arguments
from finer_tasks.datasets.registry import DATASETS
from finer_tasks.training.ablation.plan import AblationPlan
from finer_tasks.training.built_in import BuiltIn, built_in_recipes
from finer_tasks.training.errors import RecipeError
from finer_tasks.training.grpo.recipe import read_run
from finer_tasks.training.mixture.recipe import MixtureRecipe
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.tuning.arguments import passes_per_step
from finer_tasks.training.tuning.recipe import TrainRecipe

KINDS = {"mixture": MixtureRecipe, "reproduce": Plan, "ablate": AblationPlan}
RECIPES = {f"{recipe.folder}/{recipe.name}": recipe for recipe in built_in_recipes()}


def head(recipe: BuiltIn) -> str:
    """The comment at the head, with lines that go on joined."""
    lines = recipe.path.read_text(encoding="utf-8").splitlines()
    comment = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    return re.sub(r"\\\n\s*", "", "\n".join(line.removeprefix("#").strip() for line in comment))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_comes_with_the_package_is_valid(name: str) -> None:
    path, folder = Path(RECIPES[name].name), RECIPES[name].folder
    recipe = read_run(path) if folder == "train" else read_recipe(KINDS[folder], path)
    if isinstance(recipe, MixtureRecipe):
        recipe.check(tuple(DATASETS))


@pytest.mark.parametrize("name", RECIPES)
def test_the_head_says_how_to_launch_a_recipe_and_what_it_says_holds(name: str) -> None:
    commands = re.findall(
        r"(torchrun .*|)\bfiner ((?:train|mixture build|reproduce|ablate projectors) .*)", head(RECIPES[name])
    )
    trained, tried = RECIPES[name].folder == "train", "--dry-run" in head(RECIPES[name])
    assert len(commands) == (3 if trained else 1 + tried)  # one GPU, several, several nodes
    for launcher, command in commands:
        arguments = parse_arguments(command.split())
        assert arguments.recipe == Path(RECIPES[name].name)
        if trained:
            processes = math.prod(map(int, re.findall(r"--(?:nnodes|nproc_per_node) (\d+)", launcher)))
            assert passes_per_step(read_run(arguments.recipe, arguments.overrides), processes) >= 1


def test_the_paper_recipes_hold_its_setting_and_the_same_images() -> None:
    tuned = read_recipe(TrainRecipe, Path("llava-1.5-7b"))
    assert (tuned.lora.rank, tuned.lora.alpha, tuned.epochs, tuned.global_batch_size) == (128, 256, 1, 64)
    assert (tuned.learning_rate, tuned.schedule, tuned.warmup_ratio) == (2e-4, "cosine", 0.03)
    finer, direct = (read_recipe(MixtureRecipe, Path(f"{style}-865k")) for style in ("finer", "direct"))
    assert replace(finer, name="direct-865k", style="direct") == direct


def test_recipes_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"{re.escape(recipe.name)} .*{re.escape(recipe.what)}", printed) for recipe in RECIPES.values())
    assert main(["recipes", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["mini-lora"]["command"] == "finer train"
    assert Path(listed["finer-865k"]["path"]).is_file()


def test_a_recipe_is_copied_as_it_is_and_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for target, file in (([], "mini-lora.yaml"), (["mine.yaml"], "mine.yaml"), (["folder"], "folder/mini-lora.yaml")):
        assert main(["recipes", "copy", "mini-lora", *target]) == 0
        assert f"finer train {file}" in capsys.readouterr().out
        assert (tmp_path / file).read_bytes() == RECIPES["train/mini-lora"].path.read_bytes()
    (tmp_path / "mine.yaml").write_text("mine")
    for target in ([], ["mine.yaml"], ["folder"]):
        assert main(["recipes", "copy", "mini-lora", *target]) == 2
        assert "exists and is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert main(["recipes", "copy", "mini-lra"]) == 2
    assert "no built-in recipe mini-lra; did you mean mini-lora?" in capsys.readouterr().err
    assert main(["recipes", "copy", "llava-1.5-7b"]) == 2
    assert "llava-1.5-7b is the name of train/llava-1.5-7b and reproduce/llava-1.5-7b" in capsys.readouterr().err
    assert main(["recipes", "copy", "reproduce/llava-1.5-7b"]) == 0
    assert (tmp_path / "llava-1.5-7b.yaml").read_bytes() == RECIPES["reproduce/llava-1.5-7b"].path.read_bytes()


def test_a_name_is_that_of_the_recipe_of_the_commands_kind() -> None:
    assert isinstance(read_recipe(Plan, Path("llava-1.5-7b")), Plan)
    assert isinstance(read_recipe(TrainRecipe, Path("llava-1.5-7b")), TrainRecipe)
    with pytest.raises(RecipeError, match=r"no recipe photos; give a YAML file or one of the built-in .*mini-lora"):
        read_recipe(TrainRecipe, Path("photos"))
