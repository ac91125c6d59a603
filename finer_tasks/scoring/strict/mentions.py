"""The names that an answer mentions, the ways in which it can use them, and names joined to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from finer_tasks.scoring.strict.names import YEAR, Name
from finer_tasks.scoring.strict.words import NO_BREAK, SENTENCE, Word, words_of

_CONNECTORS = frozenset(words_of("or nor and a an the any other even either then also"))
_CONJUNCTIONS = frozenset(words_of("or nor and"))


class Status(str, Enum):
    """How a name is used. Tentative names count as asserted where nothing else is."""

    ASSERTED = "asserted"
    TENTATIVE = "tentative"
    NEGATED = "negated"
    CONTRASTED = "contrasted"
    COMPARED = "compared"
    HYBRID = "hybrid"
    HEDGED = "hedged"
    ALTERNATIVE = "alternative"
    RANGE = "range"


@dataclass
class Mention:
    """A name at words[start:end] of an answer, and how it is used.

    Attributes:
        bold: whether it stands in bold.
        lead: whether it stands in a first sentence that says little else.
        attached: of a model year, whether it stands beside a name.
    """

    phrase: str
    name: Name
    start: int
    end: int
    bold: bool = False
    lead: bool = False
    attached: bool = False
    status: Status = Status.ASSERTED

    @property
    def is_year(self) -> bool:
        """Whether this is a model year."""
        return YEAR in self.name.levels


@dataclass(frozen=True)
class Reading:
    """An answer read: the names with their status, and whether it says that it does not know."""

    mentions: tuple[Mention, ...]
    abstains: bool


def govern(words: Sequence[Word], mentions: Sequence[Mention], index: int, step: int, status: Status) -> None:
    """Give a name a status, and the names joined to it."""
    chain = [index]
    while 0 <= (other := chain[-1] + step) < len(mentions):
        left, right = sorted((mentions[chain[-1]], mentions[other]), key=lambda mention: mention.start)
        if not connected(words, left, right):
            break
        chain.append(other)
    joined = 1
    for length in range(2, len(chain) + 1):
        left, right = sorted((mentions[chain[length - 2]], mentions[chain[length - 1]]), key=lambda mention: mention.start)
        between = range(left.end, right.start)
        conjunction = any(words[i].text in _CONJUNCTIONS for i in between) or "/" in words[right.start].gap
        if conjunction or (not between and words[right.start].rank == NO_BREAK):
            joined = length
    for position in chain[:joined]:
        if mentions[position].status not in (Status.NEGATED, Status.CONTRASTED):
            mentions[position].status = status


def connected(words: Sequence[Word], left: Mention, right: Mention) -> bool:
    """Whether only commas and words such as "or a" stand between two names."""
    if any(words[i].rank >= SENTENCE for i in range(left.end, right.start + 1)):
        return False
    return all(words[i].text in _CONNECTORS for i in range(left.end, right.start))
