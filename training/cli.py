"""The training commands of `finer`: parses arguments, calls, prints."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from rich.table import Table

from finer_tasks.cli.options import Commands, add_output
from finer_tasks.cli.output import out, say

_RECIPE = "YAML file, or the name of a built-in recipe (`finer recipes` lists them)"


def add_commands(commands: Commands) -> None:
    """Add `recipes`, `mixture`, `train`, `merge`, `reproduce` and `ablate` to the parser."""
    _add_recipes(commands)
    _add_mixture(commands)
    _add_train(commands)
    _add_merge(commands)
    _add_reproduce(commands)
    _add_ablate(commands)


def _add_recipe(command: argparse.ArgumentParser, metavar: str = "RECIPE") -> None:
    command.add_argument("recipe", type=Path, metavar=metavar, help=_RECIPE)
    command.add_argument("overrides", nargs="*", metavar="key=value", help=f"values that replace the {metavar.lower()}'s")


def _say_lines(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        say(line)


def _add_recipes(commands: Commands) -> None:
    recipes = commands.add_parser("recipes", help="list the built-in recipes, or copy one to start from")
    recipes.add_argument("--json", action="store_true", help="print the recipes as JSON")
    recipes.set_defaults(run=_recipes)
    actions = recipes.add_subparsers(metavar="ACTION")
    copy = actions.add_parser("copy", help="write a built-in recipe to a file of your own")
    copy.add_argument("name", metavar="NAME", help="one of the names that `finer recipes` lists")
    copy.add_argument(
        "path", type=Path, nargs="?", metavar="PATH", help="file that must not exist, or folder (default: NAME.yaml, here)"
    )
    copy.set_defaults(run=_copy_recipe)


def _recipes(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.built_in import built_in_recipes

    recipes = built_in_recipes()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(recipe) | {"path": str(recipe.path)} for recipe in recipes], indent=2))
        return
    table = Table("recipe", "for", "what it is")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.command.removesuffix(" --recipe"), recipe.what)
    out.print(table)


def _copy_recipe(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.built_in import copy_recipe

    recipe, path = copy_recipe(arguments.name, arguments.path)
    say(f"copied to {path}, whose head says how to launch it; to use the copy: {recipe.command} {path}")


def _add_mixture(commands: Commands) -> None:
    mixture = commands.add_parser("mixture", help="build instruction mixtures for fine-tuning")
    actions = mixture.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="from a recipe to conversations in the LLaVA format")
    _add_recipe(build)
    add_output(build, "DIR")
    build.add_argument("--overwrite", action="store_true", help="replace a mixture that is there")
    build.add_argument(
        "--drop-broken", action="store_true", help="leave out and count broken entries and images instead of refusing them"
    )
    build.set_defaults(run=_build)


def _build(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.mixture.build import build_mixture
    from finer_tasks.training.mixture.recipe import MixtureRecipe
    from finer_tasks.training.recipe import read_recipe

    overrides = [*arguments.overrides, *(["drop_broken=true"] if arguments.drop_broken else [])]
    recipe = read_recipe(MixtureRecipe, arguments.recipe, overrides)
    card = build_mixture(recipe, arguments.output, arguments.overwrite)
    for source, count in card["counts"]["source"].items():
        say(f"{source:24} {count:>9,} conversations")
    for dataset, reasons in card["left_out"].items():
        for reason, count in reasons.items():
            if count:
                say(f"{dataset:24} {count:>9,} left out: {reason}")
    for dataset, reason in card["near_duplicates_not_checked"].items():
        say(f"{dataset:24} its test images were not compared with: {reason}")
    for source, count in card["names_a_held_out_concept"].items():
        if source != "what":
            say(f"{source:24} {count:>9,} name a held-out concept: {card['names_a_held_out_concept']['what']}")
    say(f"hash {card['hash'][:16]}, written to {arguments.output}")


def _add_train(commands: Commands) -> None:
    train = commands.add_parser("train", help="LoRA fine-tuning on a mixture, by imitation or by rewards")
    _add_recipe(train)
    train.add_argument("--dry-run", action="store_true", help="load and check everything, take one step, write nothing")
    train.set_defaults(run=_train)


def _add_merge(commands: Commands) -> None:
    merge = commands.add_parser("merge", help="fold an adapter into its base model")
    merge.add_argument("adapter", type=Path, help="output of finer train")
    add_output(merge, "DIR", "must not exist")
    merge.add_argument("--base", help="the base model, by default the one that the adapter names")
    merge.add_argument("--dtype", default="auto")
    merge.set_defaults(run=_merge)


def _train(arguments: argparse.Namespace) -> int:
    from finer_tasks.training.grpo.recipe import GrpoRecipe, read_run
    from finer_tasks.training.grpo.train import dry_run_grpo, train_grpo
    from finer_tasks.training.tuning.run_folder import is_main_process
    from finer_tasks.training.tuning.train import dry_run, exit_code, train

    recipe = read_run(arguments.recipe, arguments.overrides)
    if arguments.dry_run:
        found = dry_run_grpo(recipe) if isinstance(recipe, GrpoRecipe) else dry_run(recipe)
        for name, value in found.items():
            say(f"{name.replace('_', ' ')}: {value}")
        return 0
    outcome = train_grpo(recipe) if isinstance(recipe, GrpoRecipe) else train(recipe)
    if not is_main_process():
        return exit_code(outcome)  # the first process speaks for all
    if outcome.stopped_by is not None:
        say(f"stopped at step {outcome.steps} with a checkpoint; the same command goes on from there")
    else:
        means = ", ".join(f"mean {name} {value:.4f}" for name, value in outcome.means.items())
        say(f"{outcome.steps} steps, {means}; adapter in {outcome.output}")
    return exit_code(outcome)


def _merge(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.tuning.output import merge_adapter

    merge_adapter(arguments.adapter, arguments.output, arguments.base, arguments.dtype)
    say(f"merged model in {arguments.output}")


def _add_reproduce(commands: Commands) -> None:
    reproduce = commands.add_parser("reproduce", help="the paper's experiment by a plan; a stopped run goes on")
    _add_recipe(reproduce, "PLAN")
    add_output(reproduce, "DIR", "folder of the results; the same one to go on", required=False)
    reproduce.add_argument(
        "--dry-run", action="store_true",
        help="check data, attributes, models and recipes, take one step of tuning, list what would be done; writes nothing",
    )  # fmt: skip
    reproduce.set_defaults(run=_reproduce)


def _reproduce(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.errors import TrainingError

    if arguments.output is None and not arguments.dry_run:
        raise TrainingError("give --output DIR, where results are kept, or --dry-run to try the plan")
    from finer_tasks.training.recipe import read_recipe
    from finer_tasks.training.reproduce.experiment import reproduce
    from finer_tasks.training.reproduce.plan import Plan
    from finer_tasks.training.reproduce.trying import try_plan

    plan = read_recipe(Plan, arguments.recipe, arguments.overrides)
    if arguments.dry_run:
        for name, value in try_plan(plan).items():
            say(f"{name}: {value}")
        return
    page = reproduce(plan, arguments.output)
    _say_lines(arguments.output / "table.md")
    say(f"summary in {page}")


def _add_ablate(commands: Commands) -> None:
    ablate = commands.add_parser("ablate", help="parts of a model exchanged one by one, all else being equal")
    actions = ablate.add_subparsers(required=True, metavar="WHAT")
    projectors = actions.add_parser("projectors", help="between one frozen encoder and language model; a stopped run goes on")
    _add_recipe(projectors)
    add_output(projectors, "DIR")
    projectors.set_defaults(run=_ablate)


def _ablate(arguments: argparse.Namespace) -> None:
    from finer_tasks.training.ablation.experiment import ablate
    from finer_tasks.training.ablation.plan import AblationPlan
    from finer_tasks.training.recipe import read_recipe

    table = ablate(read_recipe(AblationPlan, arguments.recipe, arguments.overrides), arguments.output)
    _say_lines(table)
    say(f"table, report.json and plots in {table.parent}")
