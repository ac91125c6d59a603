"""Designations that go on after a known name: "A320-214", "747-8", "F/A-18C".

A suffix on a concept's own designation names a version of it. A suffix on the name of a family
names the member it leads to ("737-8K5" is a 737-800, customer codes keep the first digit of the
series), or else a kind that the dataset does not have.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace

from finer_tasks.scoring.strict.lexicon import Lexicon
from finer_tasks.scoring.strict.names import Found, Name, without
from finer_tasks.scoring.strict.words import NO_BREAK, Word

_GENERATIONS = frozenset({"ng", "ceo", "classic"})
_NOT_SUFFIXES = frozenset(
    {"like", "type", "sized", "size", "series", "sery", "family", "style", "class", "mix", "based", "powered"}
)

_CODE = re.compile(r"(?P<code>\d[^\W_]{2}|\d\d)(?:er|lr|sf|f|x|m|w|adv|bcf|bdsf)?")


def narrowed(lexicon: Lexicon, name: Name, words: Sequence[Word], start: int, end: int) -> tuple[Name, int]:
    """The name with its suffix taken into account, and where the suffix ends."""
    if further := _further(lexicon, words, start, end):
        return further
    suffix, stop = _suffix(words, end, lexicon.years)
    key = "".join(word.text for word in words[start:end])
    if not suffix or not any(char.isdigit() for char in key) or name.kin:
        return name, end
    if suffix in _GENERATIONS or (words[end].gap == "/" and suffix in lexicon.names):
        return name, end  # "A320/A321" are two names
    own = next((concept for own, concept in lexicon.own.items() if own[-1].isdigit() and key.endswith(own)), None)
    if words[end].gap == "/" and suffix[0].isdigit() and (own is None or _sibling(lexicon, key, suffix)):
        return without(name, f"{key}/{suffix}"), stop  # "737-700/800"
    member = _member(lexicon, name, words[start:end], _series(suffix))
    if member is not None:
        return member, stop
    if own is not None and own in name.denotes:
        return replace(name, denotes=frozenset([own])), stop
    family = (
        lexicon.years or len(name.denotes) > 1 or any(label.endswith(key) or key.endswith(label) for label in lexicon.families)
    )
    return (without(name, key + suffix) if family else name), stop


def bare(lexicon: Lexicon, words: Sequence[Word], before: Found, start: int) -> Name | None:
    """What a number with a hyphen before it denotes after the last name: "a 737, likely a -800", "737-700/-800"."""
    if not words[start].text.isdigit() or not words[start].gap.endswith((" -", "/-", "(-")):
        return None
    texts = [word.text for word in words[before.start : before.end]]
    stems = ("".join(texts), "".join(texts[:-1]))
    return next((name for stem in stems if stem and (name := lexicon.names.get(stem + words[start].text))), None)


def _further(lexicon: Lexicon, words: Sequence[Word], start: int, end: int) -> tuple[Name, int] | None:
    """A designation that begins within a name and goes on past it: "Bombardier Challenger 300"."""
    if end == len(words) or not words[end].text.isdigit() or words[end].rank > NO_BREAK:
        return None
    for inner in range(start + 1, end):
        if name := lexicon.names.get("".join(word.text for word in words[inner : end + 1])):
            return name, end + 1
    return None


def _sibling(lexicon: Lexicon, key: str, suffix: str) -> bool:
    """Whether a name that ends in the suffix instead is known too: "A320/321"."""
    return key[: -len(suffix)] + suffix in lexicon.names


def _member(lexicon: Lexicon, name: Name, words: Sequence[Word], series: str) -> Name | None:
    """The member of a family that a series leads to, known with or without the maker before it."""
    for start in range(len(words) if series else 0):
        member = lexicon.names.get("".join(word.text for word in words[start:]) + series)
        if member is not None and (start == 0 or member.denotes <= name.denotes):
            return member
    return None


def _suffix(words: Sequence[Word], end: int, years: Container[str]) -> tuple[str, int]:
    stop = end
    while stop < len(words) and words[stop].joined and words[stop].text not in _NOT_SUFFIXES and words[stop].text not in years:
        stop += 1
    return "".join(word.text for word in words[end:stop]), stop


def _series(suffix: str) -> str:
    """The series that a customer or engine code belongs to: "436" to "400", "236ER" to "200", "32" to "30"."""
    code = _CODE.fullmatch(suffix)
    return code["code"][0].ljust(len(code["code"]), "0") if code else ""
