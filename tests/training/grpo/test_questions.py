"""What a run asks: of which images, at which levels, in which words; and recipes that cannot be run."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from trl import GRPOTrainer

from finer_tasks.cli.main import main
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.training.errors import MixtureError, RecipeError, TrainingError
from finer_tasks.training.grpo.order import GroupOrder
from finer_tasks.training.grpo.questions import questions_of
from finer_tasks.training.grpo.recipe import GrpoRecipe
from finer_tasks.training.grpo.train import make_trainer, prepare
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, HeldOut, MixtureRecipe
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.tuning.overrides import TESTED
from finer_tasks.training.tuning.progress import Progress


def recipe_for(mixture: Path, output: Path, *more: str) -> GrpoRecipe:
    return read_recipe(GrpoRecipe, Path("mini-grpo"), [f"mixture={mixture}", f"output={output}", *more])


def asked(recipe: GrpoRecipe) -> list[dict[str, object]]:
    return list(questions_of(recipe, *read_mixture(recipe.mixture)))


def test_each_image_is_asked_at_each_level_in_each_way_and_tells_what_it_told(mixture: Path, mini_data: Path) -> None:
    recipe = replace(recipe_for(mixture, Path("o")), levels=("superordinate", "fine"), prompts=("direct", "attrseek1"))
    rows = asked(recipe)
    kinds = [(row["level"], row["told"], "attributes" in row["prompt"][0]["content"]) for row in rows]
    assert len(rows) == 3 * 64  # attrseek1 has no question for the superordinate
    assert set(kinds) == {("superordinate", False, False), ("fine", True, False), ("fine", True, True)}
    assert all(row["image"].size == (64, 64) and not row["error"] for row in rows[:3])
    untold = asked(replace(recipe, prompts=("direct",), parent="none"))
    assert not any(row["told"] for row in untold)
    fine = next(row for row in untold if row["level"] == "fine")
    assert fine["doc"]["coarse"][0] not in fine["prompt"][0]["content"]


def test_what_a_mixture_holds_out_is_not_asked_about(mini_data: Path, tmp_path: Path) -> None:
    held_out = HeldOut(superordinates=("Dog",), concepts=("mini/alder_finch",))
    built = MixtureRecipe("t", {"mini": DatasetShare(per_concept=1)}, held_out=held_out, near_duplicates="ignore")
    build_mixture(built, tmp_path / "m")
    rows = asked(recipe_for(tmp_path / "m", tmp_path / "o"))
    assert {row["doc"]["superordinate"] for row in rows} == {"Bird", "Airplane", "Car"}
    assert "alder_finch" not in {row["doc"]["concept_id"] for row in rows}
    assert len(rows) == 47


def test_a_mixture_of_other_data_and_an_image_that_is_gone_are_named(mixture: Path, mini_data: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(mixture, tmp_path / "m", symlinks=True)
    (copy / "images/mini").unlink()
    assert "cannot be decoded" in str(asked(recipe_for(copy, tmp_path / "o"))[0]["error"])
    card = json.loads((copy / "card.json").read_text())
    card["data"]["mini"]["fingerprint"] = "other"
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(MixtureError, match="data of mini are not those that the mixture t was made of"):
        asked(recipe_for(copy, tmp_path / "o"))


def test_a_question_reaches_the_model_as_the_evaluation_puts_it(mixture: Path, mini_data: Path, tmp_path: Path) -> None:
    setup = prepare(recipe_for(mixture, tmp_path / "o"))
    trainer = make_trainer(setup, Progress())
    row = setup.questions[0]
    content = [{"type": "image", "image": row["image"]}, {"type": "text", "text": row["prompt"][0]["content"]}]
    ids, images, fields = trainer._tokenize_prompts([[{"role": "user", "content": content}]])
    shown = [{"type": "image", "url": row["image"]}, content[1]]
    wanted = ChatEncoder(setup.processor).encode([[{"role": "user", "content": shown}]])
    assert list(ids[0]) == wanted["input_ids"][0].tolist()
    assert images == [[row["image"]]]
    assert torch.equal(torch.as_tensor(fields["pixel_values"][0]), wanted["pixel_values"][0])


def test_an_order_repeats_questions_for_their_groups_and_depends_on_the_epoch_alone() -> None:
    order = GroupOrder(size=7, questions=3, group=2, repeats=2, seed=0)
    first, again = list(order), list(order)
    assert first == again
    assert len(first) == len(order) == 24
    assert first[:6] == first[6:12]
    assert first[0] == first[1] != first[2]
    assert len(set(first)) == 6
    order.set_epoch(1)
    assert list(order) != first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("method=ppo", "'method=ppo': method: give supervised or grpo (found 'ppo')."),
        ("group_siz=4", "unknown key 'group_siz'. Did you mean 'group_size'?"),
        ("packing=true", "unknown key 'packing'"),
        ("global_batch_size=20", "global_batch_size=20 is no multiple of group_size=8"),
        ("lora.dropout=0.1", "lora.dropout must be 0"),
        ("iterations=4", "save_every=10 is no multiple of iterations=4"),
        ("parent=none prompts=[attrseek1]", "attrseek1 asks with the label one level up"),
        ("levels=[superordinate] prompts=[attrseek1]", "the prompt set 'finer-1' has no such question"),
        ("global_batch_size=1024", "questions, and there are 64. Lower global_batch_size"),
    ],
)
def test_mistakes_end_with_one_message(
    given: str, message: str, mixture: Path, mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "mini-grpo", f"mixture={mixture}", f"output={tmp_path / 'o'}", *given.split()]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "o").exists()


def test_without_trl_the_extra_is_named(mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "trl"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])  # nothing is found, what is imported already stays
    from finer_tasks.training.grpo.train import require_trl

    with pytest.raises(TrainingError, match=r"the extra grpo of finer-tasks: pip install 'trl>=1\.16,<2'"):
        require_trl()


def test_a_trl_that_has_changed_is_named(mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(GRPOTrainer, "_calculate_rewards")
    with pytest.raises(
        TrainingError, match=r"trl .* has changed: its GRPOTrainer has no _calculate_rewards.*tested with trl 1\.16\.0"
    ):
        prepare(recipe_for(mixture, tmp_path / "o"))


def test_what_is_installed_was_tested_and_every_override_is_marked() -> None:
    import trl

    from finer_tasks.training.grpo.trainer import GrpoRunTrainer

    assert trl.__version__ in TESTED["trl"]
    assert transformers.__version__ in TESTED["transformers"]
    own = {name for name, method in vars(GrpoRunTrainer).items() if callable(method) and hasattr(GRPOTrainer, name)}
    assert {name for name in own if not getattr(vars(GrpoRunTrainer)[name], "__override__", False)} == {"__init__"}


def test_a_supervised_recipe_is_read_as_ever() -> None:
    with pytest.raises(RecipeError, match="method: Input should be 'grpo'"):
        read_recipe(GrpoRecipe, Path("mini-lora"), ["method=supervised"])
