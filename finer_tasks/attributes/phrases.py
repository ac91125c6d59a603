"""What an attribute phrase says: statements about parts, with colours and denials, and when two phrases contradict.

"black wings without white bars" says of the wings that they are black, and denies white bars on them.
Two phrases contradict each other only where they speak of the same part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

from finer_tasks.text import normalize

COLORS = {
    "red", "orange", "yellow", "green", "blue", "purple", "violet", "pink", "brown", "tan", "buff", "black",
    "gray", "grey", "white", "cream", "golden", "gold", "silver", "rufous", "chestnut", "crimson", "scarlet",
    "olive", "beige", "ivory", "maroon", "turquoise",
}  # fmt: skip
_DENIALS = {"no", "not", "nor", "neither", "without", "lacks", "lacking", "lack", "absence", "absent", "missing", "never"}
_IGNORED = {"with", "of", "on", "and", "its", "has", "have", "in", "is", "are", "or", "very", "colored", "coloured"}
# How a chunk of words hangs on what stands before it.
_LINKS = (
    dict.fromkeys((",", "and", "or", "nor", "but", "to"), "and")
    | dict.fromkeys(("of", "on", "in", "at", "along", "across", "around", "near", "from"), "of")
    | dict.fromkeys(("with", "having", "has", "have"), "with")
    | dict.fromkeys(("is", "are"), "is")
)
# Words that name no part: shades of a colour, and the thing itself.
_NO_PART = {
    "very", "colored", "coloured", "color", "colour", "coloration", "colouration", "bright", "dark", "deep", "light", "pale",
    "dull", "mainly", "mostly", "slightly", "its", "it", "that", "which", "there", "this", "bird", "airplane", "plane",
    "aircraft", "car", "dog", "animal", "insect", "plant",
}  # fmt: skip
_CLAUSE = re.compile(r"[,;:/()\[\]]")
_HYPHENS = str.maketrans(dict.fromkeys("-‐‑–—", " "))


@dataclass(frozen=True)
class Statement:
    """One part (the stem of its name), what narrows it down, its colours; `partial`: only some of it has them."""

    part: str
    details: frozenset[str]
    colors: frozenset[str]
    denied: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Phrase:
    """A phrase as stems (those of denied words marked), its colours, and its statements."""

    stems: frozenset[str]
    colors: frozenset[str]
    statements: tuple[Statement, ...]
    parts: frozenset[str]


@lru_cache(maxsize=1 << 16)
def analyse(phrase: str) -> Phrase:
    """Stems without function words, and the statements. Cached by distinct phrase."""
    chunks = list(_chunks(phrase))
    stems = frozenset(f"no {stem}" if chunk.denied else stem for chunk in chunks for stem in chunk.stems)
    colors = frozenset(color for chunk in chunks for color in chunk.colors)
    statements = _Reader().read(chunks)
    return Phrase(stems, colors, statements, frozenset(statement.part for statement in statements))


def contradicts(one: str, other: str) -> bool:
    """Whether two phrases give one part disjoint colours, or one denies what the other states of it."""
    a, b = analyse(one), analyse(other)
    if a.parts.isdisjoint(b.parts):
        return False
    return any(_clash(s, t) for s in a.statements for t in b.statements)


def contradicts_list(phrase: str, references: Iterable[str]) -> bool:
    """Whether a phrase says what contradicts one reference and agrees with none.

    References may give one part two colours ("black wing", "white wing"); either is then no contradiction.
    """
    known = [t for reference in references for t in analyse(reference).statements]
    return any(any(_clash(s, t) for t in known) and not any(_agree(s, t) for t in known) for s in analyse(phrase).statements)


def _clash(a: Statement, b: Statement) -> bool:
    if a.part != b.part or (a.denied and b.denied):
        return False
    if a.denied or b.denied:
        denied, stated = (a, b) if a.denied else (b, a)
        return denied.details <= stated.details and (not denied.colors or bool(denied.colors & stated.colors))
    disjoint = bool(a.colors and b.colors) and a.colors.isdisjoint(b.colors)
    return disjoint and _comparable(a, b) and not (a.partial or b.partial)


def _agree(a: Statement, b: Statement) -> bool:
    same = a.part == b.part and a.denied == b.denied and _comparable(a, b)
    return same and (a.colors == b.colors or bool(a.colors & b.colors))


def _comparable(a: Statement, b: Statement) -> bool:
    return a.details <= b.details or b.details <= a.details


@dataclass
class _Chunk:
    """Words between two links: the stems of all that count, colours apart, and those that may name a part."""

    link: str = "and"
    denied: bool = False
    stems: list[str] = field(default_factory=list)
    colors: set[str] = field(default_factory=set)
    nouns: list[str] = field(default_factory=list)

    def add(self, word: str) -> None:
        if word in COLORS:
            color = "gray" if word == "grey" else word
            self.colors.add(color)
            self.stems.append(color)
        else:
            self.stems.append(stem(word))
            if word not in _NO_PART:
                self.nouns.append(self.stems[-1])


def _chunks(phrase: str) -> Iterator[_Chunk]:
    """Chunks in order; a denial holds for its chunk and goes on over "or", one at the end for the chunk before it."""
    previous, current = None, _Chunk()
    for word in _words(phrase):
        is_denial, link = word in _DENIALS, _LINKS.get(word, "")
        if (is_denial or link) and (current.colors or current.nouns):
            if previous:
                yield previous
            previous, current = current, _Chunk(link or "with", is_denial or (word == "or" and current.denied))
        elif is_denial:
            current.denied = True
        elif link and not current.denied:
            current.link = link
        if not is_denial and word not in _IGNORED and word != ",":
            current.add(word) if not link else current.stems.append(stem(word))
    if previous:
        if current.denied and not (current.colors or current.nouns):
            previous.denied = True
        yield previous
    yield current


def _words(phrase: str) -> Iterator[str]:
    """Normalised words, with a comma between clauses."""
    for number, clause in enumerate(_CLAUSE.split(phrase.translate(_HYPHENS))):
        if number:
            yield ","
        yield from normalize(clause).split()


@dataclass
class _Reader:
    """Makes statements of chunks. `subject` is the statement that verbs and "with" speak of, `last` the latest one.

    `loose` are colours that wait for their part: "black" in "black and white wing", "white" in "no white on the wings".
    """

    said: list[Statement] = field(default_factory=list)
    subject: int = -1
    last: int = -1
    loose: _Chunk | None = None

    def read(self, chunks: Iterable[_Chunk]) -> tuple[Statement, ...]:
        for chunk in chunks:
            if chunk.nouns:
                self._read_part(chunk)
            elif chunk.colors:
                self._read_colors(chunk)
        if self.loose and self.said:
            self._describe(self.loose, self.subject)
        return tuple(self.said)

    def _read_part(self, chunk: _Chunk) -> None:
        if chunk.link == "of" and self.loose:
            self._begin(chunk, self.loose.colors, self.loose.denied, partial=True)
            self.loose = None
        elif chunk.link == "of" and self.said:
            place = self.said[self.last]
            self.said[self.last] = replace(place, details=place.details | set(chunk.nouns))
            if chunk.colors:
                self.said.append(_named(chunk, chunk.colors, denied=False))
        elif chunk.link == "is" and self.said:
            self._describe(chunk, self.subject)
        elif chunk.link == "with" and self.said:
            self.said.append(_named(chunk, chunk.colors, chunk.denied, {self.said[self.subject].part}))
            self.last = len(self.said) - 1
        else:
            waiting = self.loose.colors if self.loose and self.loose.denied == chunk.denied else set()
            self._begin(chunk, chunk.colors | waiting, chunk.denied)
            self.loose = None

    def _read_colors(self, chunk: _Chunk) -> None:
        if self.said and chunk.link != "and":
            self._describe(chunk, self.subject if chunk.link == "is" else self.last)
        else:
            waiting = self.loose.colors if self.loose and self.loose.denied == chunk.denied else set()
            self.loose = replace(chunk, colors=chunk.colors | waiting)

    def _begin(self, chunk: _Chunk, colors: set[str], denied: bool, partial: bool = False) -> None:
        self.said.append(replace(_named(chunk, colors, denied), partial=partial))
        self.subject = self.last = len(self.said) - 1

    def _describe(self, chunk: _Chunk, index: int) -> None:
        """Add what a chunk says of a statement's part: to the statement, or as a denial of its own."""
        known = self.said[index]
        details = known.details | set(chunk.nouns)
        if chunk.denied:
            self.said.append(Statement(known.part, details, frozenset(chunk.colors), denied=True))
        else:
            self.said[index] = replace(known, details=details, colors=known.colors | chunk.colors)


def _named(chunk: _Chunk, colors: Iterable[str], denied: bool, details: Iterable[str] = ()) -> Statement:
    return Statement(chunk.nouns[-1], frozenset([*chunk.nouns[:-1], *details]), frozenset(colors), denied)


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The Porter stem of a word."""
    return str(_stemmer().stem(word))
