"""The strict scorer: which known concepts does an answer name, and is exactly the right one named?

An answer is read as whole words against the names of every concept of the dataset (labels and
reviewed aliases). Each name denotes a set of fine concepts: a fine name one, a coarse label all
below it, a car without its year all its years. The answer is right if it names one thing only,
without negation or hedge, and that thing is the true concept at the asked level or below.
Deterministic, no model; the reason is kept for every answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.taxonomy import Concept

REASONS = (
    "right", "wrong_sibling", "wrong_coarse", "wrong_superordinate", "too_general", "several", "negated",
    "hedged", "unknown_name", "abstained", "empty", "corrupt_image", "request_failed",
    "unfinished_thought",
)  # fmt: skip
# Only the start of an answer is read; what comes after so many words is not an answer any more.
MAX_WORDS = 400
NEGATION_REACH = 4

_SPELLING = {"grey": "gray", "coloured": "colored", "moustached": "mustached"}
_NEGATIONS = {"not", "no", "never", "neither", "nor", "isnt", "arent", "wasnt", "cannot", "cant", "unlike", "than", "instead"}
_HEDGES = (
    "might", "maybe", "perhaps", "possibly", "could be", "may be", "not sure", "unsure", "uncertain",
    "not certain", "hard to tell", "difficult to tell", "i guess", "either",
)  # fmt: skip
_ABSTENTIONS = (
    "do not know", "dont know", "cannot determine", "cant determine", "cannot identify", "cant identify",
    "cannot tell", "cant tell", "unable to", "not able to", "not possible", "impossible to", "no idea",
    "unknown", "not sure", "unsure", "cannot see", "cant see", "sorry",
)  # fmt: skip
_CLAUSE_END = re.compile(r"[.,;:!?()\n]")
_WORD = re.compile(r"[^\W_]+|[.,;:!?()\n]")


class Word(NamedTuple):
    """A word of a text, the clause it stands in, and whether a hyphen or slash joins it to the one before."""

    text: str
    clause: int
    joined: bool


@dataclass(frozen=True)
class Name:
    """What a phrase denotes: fine concepts, and the levels at which it is a name."""

    denotes: frozenset[str]
    levels: frozenset[int]


@dataclass(frozen=True)
class Mention:
    """A name found in an answer."""

    phrase: str
    name: Name
    negated: bool


@dataclass(frozen=True)
class StrictScore:
    """The verdict on one answer.

    Attributes:
        right: the strict exact match.
        reason: one of REASONS.
        named: the phrases found, most specific ones only.
        depth: deepest level named correctly: 0 none, 1 superordinate, 2 coarse, 3 fine.
        distance: edges between the named and the true node through their lowest common ancestor,
            both cut at the asked level; None where the answer does not name exactly one thing.
    """

    right: bool
    reason: str
    named: tuple[str, ...]
    depth: int
    distance: int | None


class Lexicon:
    """All names of a dataset's concepts, as a tree over words."""

    def __init__(self, concepts: Iterable[Concept], superordinates: Mapping[str, Sequence[str]]) -> None:
        """`superordinates` maps each superordinate a model may choose to its aliases."""
        by_phrase: dict[tuple[str, ...], tuple[set[str], set[int]]] = {}

        def add(label: str, concept_ids: Iterable[str], level: int) -> None:
            if words := tuple(words_of(label)):
                denotes, levels = by_phrase.setdefault(words, (set(), set()))
                denotes.update(concept_ids)
                levels.add(level)

        members: dict[tuple[str, int], set[str]] = {}
        for concept in concepts:
            for label in (*concept.fine, *concept.aliases):
                add(label, [concept.concept_id], 3)
            for label in concept.general:
                add(label, [concept.concept_id], 2)
            for label in (*concept.coarse, *concept.coarse_aliases):
                members.setdefault((label, 2), set()).add(concept.concept_id)
            members.setdefault((concept.superordinate, 1), set()).add(concept.concept_id)
        for (label, level), ids in members.items():
            add(label, ids, level)
        for label, aliases in superordinates.items():
            ids = members.get((label, 1)) or {f"<{label}>"}
            for alias in (label, *aliases):
                add(alias, ids, 1)
        self.sets = {key: frozenset(ids) for key, ids in members.items()}
        self.names = {words: Name(frozenset(ids), frozenset(levels)) for words, (ids, levels) in by_phrase.items()}
        self.tree: dict[str, Any] = {}
        for words, name in self.names.items():
            node = self.tree
            for word in words:
                node = node.setdefault(word, {})
            node[""] = name

    def fine_set(self, labels: Iterable[str]) -> frozenset[str]:
        """Concepts that the given fine labels denote."""
        found = (self.names.get(tuple(words_of(label))) for label in labels)
        return frozenset().union(*(name.denotes for name in found if name))

    def level_set(self, labels: Iterable[str], level: int) -> frozenset[str]:
        """Concepts below the given coarse (2) or superordinate (1) labels."""
        return frozenset().union(*(self.sets.get((label, level), frozenset()) for label in labels))

    def mentions(self, answer: str) -> list[Mention]:
        """Names in the answer, longest first at each position, none inside another."""
        words = list(_words_in(answer))
        found: list[Mention] = []
        position = 0
        while position < len(words):
            length, name = self._longest(words, position)
            if name is None:
                position += 1
                continue
            phrase = " ".join(word.text for word in words[position : position + length])
            found.append(Mention(phrase, name, _is_negated(words, position)))
            position += length
        return found

    def _longest(self, words: list[Word], start: int) -> tuple[int, Name | None]:
        node, best = self.tree, (0, None)
        for end in range(start, len(words)):
            following = next((node[form] for form in _forms(words[end].text) if form in node), None)
            if following is None:
                break
            node = following
            if "" in node and not _designation_goes_on(words, end):
                best = (end - start + 1, node[""])
        return best


def score_strict(answer: str, doc: Mapping[str, Any], level: str, lexicon: Lexicon) -> StrictScore:
    """Judge an answer to the question of `level` about a task document."""
    if not answer.strip():
        return StrictScore(False, "empty", (), 0, None)
    asked = LEVELS.index(level) + 1
    sets = _true_sets(doc, lexicon)
    mentions = _most_specific(lexicon.mentions(answer))
    named = tuple(mention.phrase for mention in mentions)
    abstains = _has_cue(answer, _ABSTENTIONS) and all(max(mention.name.levels) < asked for mention in mentions)
    if abstains or not mentions:
        return StrictScore(False, "abstained" if abstains else "unknown_name", named, 0, None)
    if any(mention.negated for mention in mentions):
        return StrictScore(False, "negated", named, 0, None)
    if len({mention.name.denotes for mention in mentions}) > 1:
        union = frozenset().union(*(mention.name.denotes for mention in mentions))
        return StrictScore(False, "several", named, max((k for k in (1, 2) if union <= sets[k]), default=0), None)
    name = mentions[0].name
    if _has_cue(answer, _HEDGES):
        return StrictScore(False, "hedged", named, 0, None)
    return _judge(name, doc["concept_id"], asked, sets, named)


def _judge(name: Name, concept_id: str, asked: int, sets: Mapping[int, frozenset[str]], named: tuple[str, ...]) -> StrictScore:
    exact = 3 if 3 in name.levels and concept_id in name.denotes and name.denotes <= sets[3] else 0
    common = max(exact, max((k for k in (1, 2) if name.denotes <= sets[k]), default=0))
    own = asked if asked in name.levels else max(name.levels)
    lowest = min(common, asked)
    distance = (asked - lowest) + max(0, min(own, asked) - lowest)
    if concept_id in name.denotes:
        right = common >= asked
        return StrictScore(right, "right" if right else "too_general", named, common, distance)
    reason = "wrong_sibling" if common == 2 else "wrong_coarse" if common == 1 else "wrong_superordinate"
    return StrictScore(False, reason, named, common, distance)


def _true_sets(doc: Mapping[str, Any], lexicon: Lexicon) -> dict[int, frozenset[str]]:
    """Concepts that count as the truth at each level: below the superordinate, below a coarse label, the fine labels."""
    return {
        1: lexicon.level_set([doc["superordinate"]], 1),
        2: lexicon.level_set(doc["coarse"], 2),
        3: lexicon.fine_set(doc["fine"]) | {doc["concept_id"]},
    }


def _most_specific(mentions: list[Mention]) -> list[Mention]:
    """Drop names that only generalise another one: "the Laysan albatross, an albatross" names one thing."""
    kept = [m for m in mentions if not any(o.name.denotes < m.name.denotes and not o.negated for o in mentions)]
    unique: dict[frozenset[str], Mention] = {}
    for mention in kept:
        if mention.name.denotes not in unique or mention.negated:
            unique[mention.name.denotes] = mention
    return list(unique.values())


def _is_negated(words: list[Word], position: int) -> bool:
    before = words[max(0, position - NEGATION_REACH) : position]
    return any(word.text in _NEGATIONS for word in before if word.clause == words[position].clause)


def _designation_goes_on(words: list[Word], end: int) -> bool:
    """Whether a number is joined to more by a hyphen or slash: "747-8" is not the name "747"."""
    return words[end].text[-1].isdigit() and end + 1 < len(words) and words[end + 1].joined


def _has_cue(answer: str, cues: Sequence[str]) -> bool:
    text = " " + " ".join(word.text for word in _words_in(answer)) + " "
    return any(f" {cue} " in text for cue in cues)


def words_of(text: str) -> list[str]:
    """Words in the form in which names are compared: lower case, no accents or apostrophes, hyphens as spaces."""
    return [word.text for word in _words_in(text, limit=None)]


def _words_in(text: str, limit: int | None = MAX_WORDS) -> Iterator[Word]:
    if limit is not None:
        text = text[: limit * 40]
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        text = text.replace("’", "").replace("‘", "")
    text = text.lower().replace("'", "").replace("`", "").replace("&", " and ")
    clause, count, end = 0, 0, -1
    for match in _WORD.finditer(text):
        piece = match.group()
        if _CLAUSE_END.match(piece):
            clause += 1
            continue
        joined = match.start() == end + 1 and text[end] in "-/"
        yield Word(_SPELLING.get(piece, piece), clause, joined)
        end = match.end()
        count += 1
        if limit is not None and count >= limit:
            return


def _forms(word: str) -> tuple[str, ...]:
    """The word and its likely singulars."""
    if len(word) > 3 and word.endswith("s"):
        return (word, word[:-1], word[:-2]) if word.endswith("es") else (word, word[:-1])
    return (word,)
