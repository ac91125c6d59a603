"""Texts to measure perplexity on: a plain file, a JSONL file, or the set that comes with the package."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from finer_tasks.errors import ResultsError, at_line
from finer_tasks.parsing import read_utf8
from finer_tasks.text import well_formed

BUILT_IN = "built-in"
_PARTED = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True)
class TextSet:
    """A name and its texts, none empty."""

    name: str
    texts: tuple[str, ...]

    @property
    def hash(self) -> str:
        """First 12 hex digits over all texts."""
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()[:12]


def read_texts(source: str) -> TextSet:
    """The set of this name or path; raises ResultsError with file and line.

    In a plain file texts are parted by empty lines; in a JSONL file each line is an object with a "text".
    """
    if source == BUILT_IN:
        content = (resources.files("finer_tasks.retention") / "texts.txt").read_text(encoding="utf-8")
        return TextSet(BUILT_IN, _paragraphs(content))
    path = Path(source)
    content = read_utf8(path, ResultsError, "utf-8-sig", f". Give a text or JSONL file, or {BUILT_IN}")
    texts = _of_lines(path, content) if path.suffix == ".jsonl" else _paragraphs(content)
    if not texts:
        raise ResultsError(f"{path} holds no text")
    return TextSet(path.name, texts)


def _paragraphs(content: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in _PARTED.split(content) if text.strip())


def _of_lines(path: Path, content: str) -> tuple[str, ...]:
    found = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ResultsError(at_line(path, number, 'no JSON object with a "text"')) from error
        if not isinstance(text, str) or not text.strip():
            raise ResultsError(at_line(path, number, 'its "text" is empty or no text'))
        if well_formed(text) != text:
            raise ResultsError(at_line(path, number, 'its "text" has half of a surrogate pair', "Save the file as UTF-8"))
        found.append(text)
    return tuple(found)
