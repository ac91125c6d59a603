"""Every regular expression of the package takes steps that grow with the length of the text, not with its square."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from finer_tasks.scoring import chosen
from tests.backtracking import Matcher, hostile

ROOT = Path(__file__).parents[1]
SOURCES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for folder in ("finer_tasks", "training")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
# Its expressions are made of the letters of options.
CHOSEN = Path("finer_tasks/scoring/chosen.py")
_ANCHORED = {"match", "fullmatch"}
_METHODS = {*_ANCHORED, "search", "sub", "subn", "split", "findall", "finditer"}


def check(pattern: str, flags: int, methods: set[str]) -> None:
    matcher = Matcher(pattern, flags)
    anchored = bool(methods) and methods <= _ANCHORED
    for short, long in zip(hostile(matcher, 30), hostile(matcher, 60), strict=True):
        assert matcher.count(long, anchored) <= 2.5 * matcher.count(short, anchored) + 100, (pattern, long)


@pytest.mark.parametrize(
    "path", [path for path, source in SOURCES.items() if "re.compile(" in source and path != CHOSEN], ids=str
)
def test_compiled_expressions(path: Path) -> None:
    constants = vars(import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__")))
    found = [(name, held) for name, value in constants.items() for held in (value if isinstance(value, tuple) else (value,))]
    patterns = [(name, held) for name, held in found if isinstance(held, re.Pattern)]
    assert patterns, "compile patterns in constants, so that they are compiled once and seen here"
    for name, held in patterns:
        used = set(re.findall(rf"\b{name}\.(\w+)\(", SOURCES[path]))
        check(held.pattern, held.flags & ~re.UNICODE, used)


@pytest.mark.parametrize("letters", ["AB", "ABCD"])
def test_expressions_of_options(letters: str) -> None:
    joined, plain, *others = chosen._patterns(letters)
    for pattern in (joined, *plain, *others):
        check(pattern.pattern, pattern.flags & ~re.UNICODE, {"search"})


def inline() -> Iterator[tuple[str, str]]:
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{method}" for method in _METHODS}:
                yield ast.literal_eval(node.args[0]), ast.unparse(node.func).removeprefix("re.")


@pytest.mark.parametrize(("pattern", "method"), list(inline()))
def test_expressions_in_calls(pattern: str, method: str) -> None:
    check(pattern, 0, {method})


@pytest.mark.parametrize("pattern", [r"\s+\)", r"\(.*?\)", r"a*a*b", r"^(={2,})\s*(.+?)\s*\1\s*$"])
def test_growth_with_the_square_is_seen(pattern: str) -> None:
    with pytest.raises(AssertionError):
        check(pattern, 0, {"sub"})
