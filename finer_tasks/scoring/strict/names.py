"""What a name denotes."""

from __future__ import annotations

from dataclasses import dataclass, replace

FINE, COARSE, SUPERORDINATE, YEAR = 3, 2, 1, 0


@dataclass(frozen=True)
class Name:
    """What a phrase denotes.

    Attributes:
        denotes: fine concepts; for a kind outside the dataset, an identifier of its own.
        levels: the levels at which it is a name.
        kin: for a kind outside the dataset, the concepts of its group; empty otherwise.
    """

    denotes: frozenset[str]
    levels: frozenset[int]
    kin: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """A name among the words of an answer: words[start:end]."""

    phrase: str
    name: Name
    start: int
    end: int


def outside(label: str, kin: frozenset[str]) -> Name:
    """The name of a kind that the dataset does not have, of the group of `kin`."""
    return Name(frozenset([f"<{label}>"]), frozenset([FINE]), kin)


def without(name: Name, phrase: str) -> Name:
    """The name of a kind near the given one that the dataset does not have."""
    return replace(outside(phrase, name.kin or name.denotes), levels=frozenset([FINE]))
