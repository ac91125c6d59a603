"""Recipes and `key=value` that cannot be meant: one message each, with the file, the line and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.training.errors import RecipeError
from finer_tasks.training.mixture.recipe import MixtureRecipe
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.tuning.recipe import TrainRecipe

TRAIN = "model: m\nmixture: x\noutput: y\n"
BOMB = "a: &a0 [1, 2]\n" + "".join(f"b{n}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: -1", "r.yaml:4: seed: Input should be greater than or equal to 0"),
        ("seed: 4294967296", "r.yaml:4: seed: Input should be less than 4294967296"),
        ("epochs: .inf", "r.yaml:4: epochs: Input should be a finite number"),
        ("learning_rate: .nan", "r.yaml:4: learning_rate: Input should be a finite number"),
        ("lora:\n  alpha: .nan", "r.yaml:5: lora.alpha: Input should be a finite number"),
        ("lora: {alpha: 0}", "r.yaml:4: lora.alpha: Input should be greater than 0"),
        ("workers: -1", "r.yaml:4: workers: Input should be greater than or equal to 0"),
        ("report_to: [wandbx]", "r.yaml:4: report_to: 'wandbx' is none of .*wandb"),
        ("report_to: [neptune]", "r.yaml:4: report_to: the package of 'neptune' is not installed"),
        ("schedule: cosin", "r.yaml:4: schedule: Input should be 'linear', 'cosine'"),
        ("dtype: float64", "r.yaml:4: dtype: Input should be 'auto'"),
        ("evaluation: {tasks: []}", "r.yaml:4: evaluation.tasks: Tuple should have at least 1 item"),
        ("seed: 1\nseed: 2", "r.yaml:5: key 'seed' is given twice, first in line 4"),
        ("seed: [1", "r.yaml:5: not valid YAML: "),
        ("seed: 2024-13-01", "r.yaml: not valid YAML: month must be in 1..12"),
        (f"seed: {'[' * 5000}", "r.yaml: nested too deeply"),
        (f"fsdp_config: {{{'a: {' * 2000}{'}' * 2001}", "r.yaml: nested too deeply"),
        (BOMB, "r.yaml: its aliases expand to more than 100,000 values"),
        ("fsdp_config: &a {b: *a}", "r.yaml: its aliases expand to more than 100,000 values"),
    ],
)
def test_a_broken_recipe_is_refused_at_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"{TRAIN}{text}\n")
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(TrainRecipe, path)
    assert len(str(caught.value)) < 600


def test_a_recipe_that_is_no_utf8_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(TRAIN.encode() + b"# gr\xfc\xdfe\n")
    with pytest.raises(RecipeError, match=r"r.yaml:4: not UTF-8 text. Save the file as UTF-8"):
        read_recipe(TrainRecipe, tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=-1", "^'seed=-1': seed: Input should be greater than or equal to 0"),
        ("seed=", "^'seed=': seed: Input should be a valid integer"),
        ("lora.alpha=.inf", "^'lora.alpha=.inf': lora.alpha: Input should be a finite number"),
        ("lora={rnk: 3}", "^'lora={rnk: 3}': unknown key 'lora.rnk'. Did you mean 'rank'"),
        ("=3", "^'=3': give key=value"),
        ("lora..rank=3", "^'lora..rank=3': give key=value"),
        ("seed", "^'seed': give key=value"),
        ("model.name=x", "^'model.name=x': 'model' has no keys below it"),
        ("seed=[1", "^'seed=.1':1: not valid YAML"),
        (f"seed={'[' * 5000}", "nested too deeply"),
    ],
)
def test_a_broken_override_is_named_as_it_was_written(tmp_path: Path, override: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(TRAIN)
    with pytest.raises(RecipeError, match=message):
        read_recipe(TrainRecipe, tmp_path / "r.yaml", [override])


def test_mixtures_and_plans_are_checked_alike(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("name: x\ndatasets: {mini: }\nseed: -1\n")
    with pytest.raises(RecipeError, match=r"m.yaml:3: seed"):
        read_recipe(MixtureRecipe, tmp_path / "m.yaml")
    for wrong in ("seeds=[0, -1]", "base.encoder.train.steps=0", "base.projector.learning_rate=.nan", "per_concept=0"):
        with pytest.raises(RecipeError, match=wrong.partition("=")[0]):
            read_recipe(Plan, Path("mini-fast"), [wrong])
