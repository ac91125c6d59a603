"""Every command in the guides is one that the installed programs take, and every task and recipe that it names is there."""

from __future__ import annotations

import argparse
import ast
import re
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from finer_tasks.cli.main import parse_arguments, parser_of_all_commands
from finer_tasks.models.loading import LoadOptions
from finer_tasks.tasks.table import list_groups, list_tasks
from finer_tasks.training.grpo.recipe import read_run
from finer_tasks.training.mixture.recipe import MixtureRecipe
from finer_tasks.training.recipe import locate, read_recipe
from tests.docs.pages import ROOT, Block, blocks, commands, pages, spans

SHELL = [block for page in pages() for block in blocks(page) if block.language in {"sh", "bash", "shell"}]
# Commands on a dataset that only test_adding.py has.
ADDING = "tests/docs/test_adding.py"
# Programs of others, whose arguments are not checked.
OTHERS = {"sbatch", "cat", "cp", "git", "mkdir", "pip", "cd", "pre-commit"}
# Engines, which are not installed, and the flags that their guides have.
ENGINES = {
    "vllm": {
        "--dtype", "--max-model-len", "--tensor-parallel-size", "--data-parallel-size", "--data-parallel-size-local", "--headless",
        "--data-parallel-address", "--data-parallel-rpc-port", "--data-parallel-start-rank", "--data-parallel-backend=ray",
        "--generation-config", "--reasoning-parser",
    },
    "sglang.launch_server": {
        "--model-path", "--port", "--dp", "--tp", "--nnodes", "--node-rank", "--dist-init-addr", "--enable-deterministic-inference",
    },
    "transformers": {"--device", "--dtype", "--port"},
}  # fmt: skip
# Flags of launchers and engines in the text.
LAUNCHED = {"--nproc_per_node"}.union(*ENGINES.values())
# Models of lmms-eval beside ours, and what they hand on to their engine.
MODELS = {"openai": set(), "async_openai": set(), "vllm": {"dtype", "max_model_len"}}
RECIPES = {"train": read_run, "mixture": partial(read_recipe, MixtureRecipe)}
PATHS = re.compile(r"(finer_tasks|training|task_yamls|tests|benchmarks|docs)/\S*$")
# Names in the guides that stand for the reader's own.
PLACEHOLDERS = re.compile(r"[A-Z_]+|.*[<…*].*|my-.*")


@pytest.fixture(autouse=True)
def _own_dataset(tmp_path: Path) -> None:
    """That of docs/own_dataset.md, as far as the list of datasets goes."""
    folder = tmp_path / "finer-tasks/marsh"
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").touch()


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"{block.page}:{block.text[:30].strip()}")
def test_commands_are_taken(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for words in () if ADDING in block.why else commands(block):
        try:
            check(words)
        except SystemExit:  # argparse has printed why
            pytest.fail(f"{block.page}: {' '.join(words)}: {capsys.readouterr().err}")


def test_every_block_says_what_it_is() -> None:
    assert [block for page in pages() for block in blocks(page) if not block.language] == []
    assert len(SHELL) > 20


def check(words: list[str]) -> None:
    """Raise or exit where a program would not take its arguments."""
    program, *arguments = words
    assert [word for word in words if PATHS.match(word) and not (ROOT / word).exists()] == []
    if program == "finer":
        check_finer(arguments)
    elif program == "lmms-eval":
        check_lmms_eval(arguments)
    elif program == "torchrun":
        check_finer(arguments[arguments.index("finer") + 1 :])
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), words
    elif program.endswith("python") or program == "python":
        if "-m" not in arguments:
            assert (ROOT / arguments[0]).is_file(), words
            return
        module = arguments[arguments.index("-m") + 1]
        if module in ENGINES:
            check_engine(module, arguments[2:])
            return
        assert module in {"pytest", "mkdocs"} or find_spec(module), words
    elif program in ENGINES:
        assert arguments[0] == "serve", words
        check_engine(program, arguments)
    elif "/" in program:
        assert (ROOT / program).is_file(), words
    else:
        assert program in OTHERS, f"{program}: say in test_commands.py how it is checked"


def check_engine(engine: str, words: list[str]) -> None:
    """Only flags that its guide has."""
    assert [word for word in words if word.startswith("--") and word not in ENGINES[engine]] == []


def check_finer(words: list[str]) -> None:
    """Parsed by the real parser, and recipes that come with the package read with what replaces their keys."""
    options = all_options(parser_of_all_commands())  # argparse would take the beginning of one as well
    assert [word for word in words if word.startswith("--") and word not in options] == []
    arguments = parse_arguments(words)
    if words[0] in RECIPES and not Path(arguments.recipe).suffix:
        RECIPES[words[0]](arguments.recipe, arguments.overrides)


def check_lmms_eval(words: list[str]) -> None:
    """Its options without importing it; model, model arguments and tasks of ours."""
    known = lmms_eval_options()
    values = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            assert word in known, f"lmms-eval has no {word}"
            values[word] = following
    model = values.get("--model", "finer_hf")
    ours = {field.name for field in fields(LoadOptions)} | {"workers", "resume"}
    known_arguments = ours if model == "finer_hf" else parameters_of(model) | MODELS[model]
    for pair in filter(None, values.get("--model_args", "").split(",")):
        assert pair.split("=")[0] in known_arguments, pair
    for name in values["--tasks"].split(","):
        assert name == "list" or name in task_names(), name


def test_names_paths_and_flags_in_the_text_are_there() -> None:
    names, options = task_names(), all_options(parser_of_all_commands()) | lmms_eval_options()
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "finer_tasks").rglob("*.py")]
    for page in pages():
        for span in spans(page):
            where = f"{page.name}: `{span}`"
            if PATHS.match(span) and "<" not in span:
                assert (ROOT / span).exists(), where
            elif re.fullmatch(r"finer_[a-z0-9_]+", span):
                assert span in names | {"finer_hf", "finer_replies"}, where
            elif re.fullmatch(r"--[\w-]+( .*)?", span):
                assert span.split()[0] in options | LAUNCHED, where
            elif span.startswith("finer "):
                check_span(span.split()[1:], where)
            elif found := re.match(r"(FINER_[A-Z_]+)", span):
                assert any(found[1] in source for source in sources), where
            elif re.match(r"make [a-z-]+$", span):
                check(span.split())


def check_span(words: list[str], where: str) -> None:
    """The subcommands and options of a command that is cut short in the text."""
    parser, known = parser_of_all_commands(), set()
    for word in words:
        actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        known |= {option for action in parser._actions for option in action.option_strings}
        if word.startswith("--"):
            assert word in known, where
        elif actions:
            assert word in actions[0].choices or PLACEHOLDERS.fullmatch(word), where
            parser = actions[0].choices.get(word, parser)
            known |= {option for action in parser._actions for option in action.option_strings}


def all_options(parser: argparse.ArgumentParser) -> set[str]:
    found = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for inner in action.choices.values() for option in all_options(inner)}
    return found


def parameters_of(model: str) -> set[str]:
    """The arguments in the source of a model of lmms-eval, with those of the class that it extends."""
    nodes = [node for kind in ("chat", "simple") for node in ast.walk(of_lmms_eval(f"models/{kind}/{model}.py"))]
    made = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return {argument.arg for function in made for argument in (*function.args.args, *function.args.kwonlyargs)} - {"self"}


def of_lmms_eval(path: str) -> ast.Module:
    """A file of lmms-eval, which is not imported; one without anything where there is none."""
    package = find_spec("lmms_eval")
    assert package
    file = Path(str(package.origin)).parent / path
    return ast.parse(file.read_text(encoding="utf-8") if file.exists() else "")


def lmms_eval_options() -> set[str]:
    """The options in the source of its command line."""
    strings = (node.value for node in ast.walk(of_lmms_eval("__main__.py")) if isinstance(node, ast.Constant))
    return {value for value in strings if isinstance(value, str) and re.fullmatch(r"--[a-z_]+", value)}


def task_names() -> set[str]:
    return {task.name for task in list_tasks()} | set(list_groups())


def test_recipes_in_the_guide_are_all_that_come_with_the_package() -> None:
    told = {span for span in spans(ROOT / "docs/fine_tuning.md") if re.fullmatch(r"[a-z0-9.]+(-[a-z0-9.]+)+", span)}
    there = {path.stem for path in (ROOT / "training/recipes").rglob("*.yaml") if "model:" in path.read_text(encoding="utf-8")}
    assert told == there
    assert all(locate(Path(name), "").is_file() for name in told)
