"""Designations that go on after a known name: "A320-214", "747-8", "F/A-18C".

A suffix on a concept's own designation names a version of it. A suffix on the name of a family
names the member it leads to ("737-8K5" is a 737-800, customer codes keep the first digit of the
series), or else a kind that the dataset does not have.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from finer_tasks.metrics.strict.words import Word

if TYPE_CHECKING:
    from finer_tasks.metrics.strict.lexicon import Lexicon, Name

_GENERATIONS = frozenset({"ng", "ceo", "classic"})
_NOT_SUFFIXES = frozenset(
    {"like", "type", "sized", "size", "series", "sery", "family", "style", "class", "mix", "based", "powered"}
)


def narrowed(lexicon: Lexicon, name: Name, words: Sequence[Word], start: int, end: int) -> tuple[Name, int]:
    """The name with its suffix taken into account, and where the suffix ends."""
    from finer_tasks.metrics.strict.lexicon import without

    suffix, stop = _suffix(words, end, lexicon.years)
    key = "".join(word.text for word in words[start:end])
    if not suffix or not any(char.isdigit() for char in key) or name.kin:
        return name, end
    if suffix in _GENERATIONS or (words[end].gap == "/" and suffix in lexicon.names):
        return name, end  # "A320/A321" are two names
    if words[end].gap == "/" and suffix[0].isdigit():
        return without(name, f"{key}/{suffix}"), stop  # "737-700/800"
    member = lexicon.names.get(key + _series(suffix)) if _series(suffix) else None
    if member is not None:
        return member, stop
    own = next((concept for own, concept in lexicon.own.items() if own[-1].isdigit() and key.endswith(own)), None)
    if own is not None and own in name.denotes:
        return type(name)(frozenset([own]), name.levels), stop
    family = (
        lexicon.years or len(name.denotes) > 1 or any(label.endswith(key) or key.endswith(label) for label in lexicon.families)
    )
    return (without(name, key + suffix) if family else name), stop


def _suffix(words: Sequence[Word], end: int, years: Container[str]) -> tuple[str, int]:
    stop = end
    while stop < len(words) and words[stop].joined and words[stop].text not in _NOT_SUFFIXES and words[stop].text not in years:
        stop += 1
    return "".join(word.text for word in words[end:stop]), stop


def _series(suffix: str) -> str:
    """The series that a customer or engine code belongs to: "436" to "400", "32" to "30"."""
    if suffix[0].isdigit() and (len(suffix) == 3 or (len(suffix) == 2 and suffix.isdigit())):
        return suffix[0].ljust(len(suffix), "0")
    return ""
