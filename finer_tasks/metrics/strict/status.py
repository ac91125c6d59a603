"""How an answer uses each name it mentions: the cues applied to the names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from finer_tasks.metrics.strict.cues import Cue, Fields, find_cues, find_fields
from finer_tasks.metrics.strict.lexicon import FINE, YEAR, Found, Lexicon, Name
from finer_tasks.metrics.strict.words import CLAUSE, LINE, NO_BREAK, SENTENCE, Word, read, words_of

NEXT_WORDS = 12
NEAR_WORDS = 3
PREVIOUS_WORDS = 15
AFTER_WORDS = 2


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


_CONNECTORS = frozenset(words_of("or nor and a an the any other even either then also"))
_CONJUNCTIONS = frozenset(words_of("or nor and"))
_STOPS = frozenset(words_of("but however so because since therefore thus hence instead"))
_PREPOSITIONS = frozenset(words_of("of on in with from at by to for"))
# After "or", these begin no other name.
_NO_NOUN = frozenset(
    words_of(
        "similar so other such any more less even at in is was it not simply just hen drake male female juvenile adult puppy"
    )
)
_RANGE_WORDS = frozenset(words_of("to through until and till"))


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


def read_answer(answer: str, lexicon: Lexicon) -> Reading:
    """Find the names in an answer and decide how each is used."""
    words, tail = read(answer)
    fields = find_fields(words, tail) if any(char in answer for char in ":=-\u2013") else Fields(frozenset(), (), ())
    found = lexicon.find(words, fields.dropped)
    if not found:
        found = _short(words, lexicon)
    mentions = [Mention(one.phrase, one.name, one.start, one.end) for one in found]
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    cues = find_cues(words, inside)
    if mentions:
        _mark_places(words, mentions, "**" in answer)
        _apply(words, tail, mentions, cues, fields)
    return Reading(tuple(mentions), any(cue.has("abstained") for cue in cues))


def _short(words: Sequence[Word], lexicon: Lexicon) -> list[Found]:
    """A short name that is all of an answer's clause: "a Laysan"."""
    for start in range(min(len(words), NEXT_WORDS)):
        first = start + (words[start].text in ("a", "an", "the"))
        end = first
        while end < len(words) and (end == first or words[end].rank == NO_BREAK):
            end += 1
        whole = start == 0 and end == len(words)
        name = lexicon.short.get(tuple(word.text for word in words[first:end]))
        if name is not None and (whole or (first > start and (start == 0 or words[start].rank > NO_BREAK))):
            return [Found(" ".join(word.shown for word in words[first:end]), name, first, end)]
    return []


def _mark_places(words: Sequence[Word], mentions: Sequence[Mention], has_bold: bool) -> None:
    """Which names stand in bold, and which in a first sentence that says little else."""
    bold, marks = [], 0
    for word in words if has_bold else ():
        marks += word.gap.count("**")
        bold.append(marks % 2 == 1)
    first_end = next((i for i in range(1, len(words)) if words[i].rank >= SENTENCE), len(words))
    named = sum(mention.end - mention.start for mention in mentions if mention.end <= first_end)
    lines = 1 + sum(word.rank == LINE for word in words)
    lead = first_end < len(words) and first_end - named <= NEAR_WORDS and len(words) - first_end >= 5 * lines
    for mention in mentions:
        mention.bold = has_bold and bold[mention.start]
        mention.lead = lead and mention.end <= first_end


def _apply(words: Sequence[Word], tail: str, mentions: list[Mention], cues: Sequence[Cue], fields: Fields) -> None:
    for cue in cues:
        _apply_cue(words, mentions, cue)
    for start, end in fields.aside:
        for mention in mentions:
            if start <= mention.start < end:
                mention.status = Status.CONTRASTED
    _take_back(words, mentions, cues)
    _years(words, mentions)
    _unknown_alternatives(words, mentions)
    for mention in mentions:
        if mention.status is Status.ASSERTED and "?" in (words[mention.end].gap if mention.end < len(words) else tail):
            mention.status = Status.TENTATIVE
    _correct(mentions, cues)
    _conclude(words, mentions, cues, fields)


def _apply_cue(words: Sequence[Word], mentions: list[Mention], cue: Cue) -> None:
    for kind, direction in cue.uses:
        if kind not in Status._value2member_map_:
            continue
        status = Status(kind)
        if direction in ("next", "near"):
            index = _following(words, mentions, cue, direction == "near")
            step = 1
        else:
            index = _preceding(words, mentions, cue, direction == "after", status)
            step = -1
        if index is not None:
            _govern(words, mentions, index, step, status)
            return


def _following(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue, near: bool) -> int | None:
    """The first name after a cue in its clause, before a word such as "but"."""
    index = bisect_left(mentions, cue.end, key=lambda mention: mention.start)
    if index == len(mentions):
        return None
    between = range(cue.end, mentions[index].start)
    if len(between) > (NEAR_WORDS if near else NEXT_WORDS):
        return None
    if any(words[i].rank >= CLAUSE for i in (*between, mentions[index].start)):
        return None
    stops = _STOPS | _PREPOSITIONS if near else _STOPS
    return None if any(words[i].text in stops for i in between) else index


def _preceding(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue, after: bool, status: Status) -> int | None:
    """The last name before a cue: on its line, or directly before it."""
    index = bisect_right(mentions, cue.start, key=lambda mention: mention.end) - 1
    if index < 0 or cue.start - mentions[index].end > PREVIOUS_WORDS:
        return None
    mention = mentions[index]
    distance = cue.start - mention.end
    rank = max(words[i].rank for i in range(mention.end, cue.start + 1))
    if not after:
        return index if rank < LINE else None
    if status is Status.HYBRID:
        fits = distance == 0 and rank < CLAUSE
    elif status is Status.TENTATIVE:  # the subject of its sentence: "Ring-billed Gulls have …"
        before = range(max(0, mention.start - NEAR_WORDS), mention.start + 1)
        begins = before.start == 0 or any(words[i].rank >= CLAUSE for i in before)
        fits = distance < AFTER_WORDS and rank < CLAUSE and begins
    else:
        ends = cue.end == len(words) or words[cue.end].rank >= CLAUSE
        fits = distance <= AFTER_WORDS and rank < SENTENCE and (ends or status is not Status.HEDGED)
    return index if fits else None


def _govern(words: Sequence[Word], mentions: Sequence[Mention], index: int, step: int, status: Status) -> None:
    """Give a name a status, and the names joined to it."""
    chain = [index]
    while 0 <= (other := chain[-1] + step) < len(mentions):
        left, right = sorted((mentions[chain[-1]], mentions[other]), key=lambda mention: mention.start)
        if not _connected(words, left, right):
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


def _connected(words: Sequence[Word], left: Mention, right: Mention) -> bool:
    """Whether only commas and words such as "or a" stand between two names."""
    if any(words[i].rank >= SENTENCE for i in range(left.end, right.start + 1)):
        return False
    return all(words[i].text in _CONNECTORS for i in range(left.end, right.start))


def _take_back(words: Sequence[Word], mentions: Sequence[Mention], cues: Sequence[Cue]) -> None:
    """ "Looks like X, but …" compares, unless no word such as "but" follows in the sentence."""
    turns = [cue.start for cue in cues if cue.has("adversative")]
    ends = [i for i, word in enumerate(words) if i and word.rank >= SENTENCE] if turns else []
    for mention in mentions if turns else ():
        after = bisect_left(turns, mention.end)
        if mention.status is Status.TENTATIVE and after < len(turns):
            end = bisect_left(ends, mention.end)
            if end == len(ends) or turns[after] < ends[end]:
                mention.status = Status.COMPARED


def _years(words: Sequence[Word], mentions: Sequence[Mention]) -> None:
    """ "2007-2012" and "from 2007 to 2012" are ranges."""
    years = [mention for mention in mentions if mention.is_year and mention.status is Status.ASSERTED]
    for left, right in pairwise(years):
        between = [words[i].text for i in range(left.end, right.start)]
        hyphen = not between and "-" in words[right.start].gap
        start = words[left.start - 1].text if left.start else ""
        if hyphen or (len(between) == 1 and between[0] in _RANGE_WORDS and (between[0] != "and" or start == "between")):
            left.status = right.status = Status.RANGE
    for left, right in pairwise(mentions):
        limit = SENTENCE if left.end == right.start else CLAUSE
        beside = right.start - left.end <= 1 and all(words[i].rank < limit for i in range(left.end, right.start + 1))
        if beside and left.is_year != right.is_year:
            left.attached = right.attached = True
        elif left.is_year and right.is_year and left.attached:
            right.attached = _connected(words, left, right)


def _unknown_alternatives(words: Sequence[Word], mentions: Sequence[Mention]) -> None:
    """ "X or Y" leaves it open even where Y is no known name."""
    starts = {mention.start for mention in mentions}
    for mention in mentions:
        i = mention.end
        if mention.status is not Status.ASSERTED or FINE not in mention.name.levels or i >= len(words) or words[i].text != "or":
            continue
        i += 1
        while i < len(words) and words[i].text in ("a", "an", "the"):
            i += 1
        if i < len(words) and i not in starts and words[i].text not in _NO_NOUN and words[i].rank < SENTENCE:
            mention.status = Status.ALTERNATIVE


def _correct(mentions: Sequence[Mention], cues: Sequence[Cue]) -> None:
    """Names before the last correction are no longer asserted if another follows it."""
    for cue in reversed(cues):
        if cue.has("correction") and _keep(mentions, cue.end, mentions[-1].end, demoted_before=cue.start):
            return


def _conclude(words: Sequence[Word], mentions: Sequence[Mention], cues: Sequence[Cue], fields: Fields) -> None:
    """Names outside the line of the last conclusion are no longer asserted if one is asserted there."""
    points = sorted([*(cue.end for cue in cues if cue.has("conclusion")), *fields.answers], reverse=True)
    for point in points:
        end = next((i for i in range(point + 1, len(words)) if words[i].rank == LINE), len(words))
        if _keep(mentions, point, end, demoted_before=len(words)):
            return


def _keep(mentions: Sequence[Mention], start: int, end: int, demoted_before: int) -> bool:
    """If a name in words[start:end] is asserted, make the asserted ones outside it tentative."""
    inside = [mention for mention in mentions if start <= mention.start < end]
    if not any(mention.status is Status.ASSERTED and not mention.is_year for mention in inside):
        return False
    for mention in mentions:
        outside = not start <= mention.start < end and mention.start < demoted_before
        if outside and mention.status is Status.ASSERTED:
            mention.status = Status.TENTATIVE
    return True
