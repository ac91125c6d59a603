"""The cues of cues.yaml, and finding them and the labels of fields among the words of an answer."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, NamedTuple

import yaml

from finer_tasks.scoring.strict.words import LINE, NO_BREAK, SENTENCE, Word, words_of

_LABEL_WORDS = 5
_DEMONSTRATIVES = frozenset(words_of("this that these those them"))
_NOUNS = frozenset(
    words_of("one bird dog car plane aircraft airplane jet species breed model variant kind type animal vehicle")
)
_COLON = re.compile(r"""[\s*_"'`)\]]*[:=]""")
_BULLET = re.compile(r"\n[^\S\n]*[-*\u2022]")
_LIST_DASH = re.compile(r"\s+-\s")


class Cue(NamedTuple):
    """A cue among the words of an answer: words[start:end]; `uses` are pairs of kind and direction."""

    start: int
    end: int
    uses: tuple[tuple[str, str], ...]

    def has(self, kind: str) -> bool:
        """Whether the cue is of a kind."""
        return any(use[0] == kind for use in self.uses)


@dataclass(frozen=True)
class Fields:
    """What the labels of fields ("Species: …") say.

    Attributes:
        dropped: words of labels whose values are read on as one name.
        aside: spans of words that are not the answer.
        answers: where the value of an answer's label starts.
    """

    dropped: frozenset[int]
    aside: tuple[tuple[int, int], ...]
    answers: tuple[int, ...]


@cache
def _cues() -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The cues as a tree over their words, with their uses under "", and the role of each label."""
    raw: dict[str, Any] = yaml.safe_load(resources.files(__package__).joinpath("cues.yaml").read_text(encoding="utf-8"))
    labels = {tuple(words_of(label)): role for role, found in raw.pop("labels").items() for label in found}
    uses: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for kind, directions in raw.items():
        for direction, phrases in directions.items():
            for phrase in phrases:
                uses.setdefault(tuple(words_of(phrase)), []).append((kind, direction))
    tree: dict[str, Any] = {}
    for words, found in uses.items():
        node = tree
        for word in words:
            node = node.setdefault(word, {})
        node[""] = tuple(found)
    return tree, labels


def find_cues(words: Sequence[Word], names: Container[int]) -> list[Cue]:
    """The cues among the words, longest first at each position; words of names are no cues.

    Within a cue, "it" stands for phrases such as "this bird" as well.
    """
    tree, _ = _cues()
    found: list[Cue] = []
    i = 0
    while i < len(words):
        cue = _longest(words, names, tree, i) if words[i].text in tree and i not in names else None
        if cue is None:
            i += 1
            continue
        found.append(cue)
        # "is unlikely", said of a name before it, may begin "is unlikely to be", said of the next.
        i = cue.end if any(direction not in ("previous", "after", "reply") for _, direction in cue.uses) else i + 1
    return found


def _longest(words: Sequence[Word], names: Container[int], tree: dict[str, Any], start: int) -> Cue | None:
    node, k = tree[words[start].text], start + 1
    cue = Cue(start, k, node[""]) if "" in node else None
    while k < len(words) and words[k].rank < SENTENCE:
        if words[k].text in node and k not in names:
            node, k = node[words[k].text], k + 1
        elif "it" in node and (length := _pronoun(words, k)):
            node, k = node["it"], k + length
        else:
            break
        if "" in node:
            cue = Cue(start, k, node[""])
    return cue


def _pronoun(words: Sequence[Word], start: int) -> int:
    """How many words of "this", "the bird", "this one" stand for "it"."""
    noun = start + 1 < len(words) and words[start + 1].text in _NOUNS and words[start + 1].rank == NO_BREAK
    if words[start].text in _DEMONSTRATIVES:
        return 1 + noun
    return 2 if words[start].text == "the" and noun else 0


def find_fields(words: Sequence[Word], tail: str) -> Fields:
    """The known labels among the words: those before a colon, or before a dash or alone on a line."""
    _, labels = _cues()
    dropped: set[int] = set()
    answers: list[int] = []
    starts: list[tuple[int, str]] = []  # where a value starts, and its label's role
    for end in range(1, len(words) + 1):
        gap = words[end].gap if end < len(words) else tail
        if not gap or gap == " ":
            continue
        start, role = _label(words, end, labels)
        begins_line = start == 0 or words[start].rank == LINE
        heads = begins_line and (_LIST_DASH.match(gap) or ("\n" in gap and role in ("aside", "answer")))
        if not _COLON.match(gap) and not (role and heads):
            continue
        starts.append((end, role))
        if role == "join":
            dropped.update(range(start, end))
        elif role == "answer":
            answers.append(end)
    asides = tuple((start, _value_end(words, start, starts)) for start, role in starts if role == "aside")
    return Fields(frozenset(dropped), asides, tuple(answers))


def _label(words: Sequence[Word], end: int, labels: dict[tuple[str, ...], str]) -> tuple[int, str]:
    """Where the longest known label before `end` starts, and its role; no role if there is none."""
    for start in range(max(0, end - _LABEL_WORDS), end):
        if any(word.rank > NO_BREAK for word in words[start + 1 : end]):
            continue
        if role := labels.get(tuple(word.text for word in words[start:end])):
            return start, role
    return end - 1, ""


def _value_end(words: Sequence[Word], start: int, starts: Sequence[tuple[int, str]]) -> int:
    """Where a value ends: at the next label, a blank line, and outside a list at the end of its sentence."""
    is_list = start < len(words) and words[start].rank == LINE
    later = islice(starts, bisect_right(starts, start, key=lambda label: label[0]), None)
    following = next((end for end, role in later if role or not is_list or not _is_item(words, end)), len(words) + 1)
    end = start + 1
    while end < min(len(words), following - 1):
        gap = words[end].gap
        if "\n\n" in gap or "]" in gap or "}" in gap or (words[end].rank >= SENTENCE and not is_list):
            break
        end += 1
    return end


def _is_item(words: Sequence[Word], end: int) -> bool:
    """Whether the label that ends here begins an item of a list: "- Barn Owl: …"."""
    for i in range(end - 1, max(-1, end - 1 - _LABEL_WORDS), -1):
        if words[i].rank == LINE:
            return _BULLET.search(words[i].gap) is not None
    return False
