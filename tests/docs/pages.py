"""Reading the guides: their fenced blocks, the commands in them, and their code spans.

A block of `sh` is run by test_runs.py, unless a comment `<!-- not run: why -->` stands on the line above it. Its commands
are parsed in either case.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+?) -->\n)?```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_HEREDOC = re.compile(r"<<'(\w+)'\n.*?^\1$", re.M | re.S)
_SEPARATORS = {"&&", "||", "|", ";", ">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `why` says why it is not run, empty if it is."""

    page: str
    language: str
    title: str
    text: str
    why: str


def pages() -> list[Path]:
    """README and CONTRIBUTING, then the pages of the site in the order of its menu."""
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / name for name in _leaves(menu))]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(page.name, m["language"], m["title"] or "", m["text"], m["why"] or "") for m in found]


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block as lists of words: without assignments before them, redirections and heredocs."""
    text = _HEREDOC.sub("", block.text).replace("\\\n", " ")
    return [words for line in text.splitlines() for words in _split(line)]


def spans(page: Path) -> list[str]:
    """The code spans of a page outside its fenced blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", page.read_text(encoding="utf-8")))


def _leaves(menu: object) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    for inner in menu.values() if isinstance(menu, dict) else menu if isinstance(menu, list) else ():
        yield from _leaves(inner)


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.wordchars += "{}=:,[]…$"
    words: list[str] = []
    redirected = False
    for token in [*lexer, ";"]:
        if token in _SEPARATORS:
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield words
            words = []
            redirected = token in {">", ">>", "<"}
        elif redirected:
            redirected = False
        else:
            words.append(token)
