"""What an answer as a whole makes of its names: fields, years, questions, percentages, corrections, conclusions."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from finer_tasks.scoring.strict.cues import Cue, Fields
from finer_tasks.scoring.strict.mentions import Mention, Status, connected, govern
from finer_tasks.scoring.strict.names import FINE, Name
from finer_tasks.scoring.strict.references import resolve
from finer_tasks.scoring.strict.words import CLAUSE, LINE, SENTENCE, Word, words_of

_SHARE_WORDS = 2
_MAJORITY = 50
# After "or", these begin no other name.
_NO_NOUN = frozenset(
    words_of(
        "similar so other such any more less even at in is was it not simply just hen drake male female juvenile adult puppy"
    )
)
_GLOSS = re.compile(r"[*_]*:")
_YES = frozenset(words_of("yes yep yeah indeed exactly correct"))
_RANGE_WORDS = frozenset(words_of("to through until and till"))


def revise(words: Sequence[Word], tail: str, mentions: Sequence[Mention], cues: Sequence[Cue], fields: Fields) -> None:
    """Change the statuses that the cues gave to what the answer as a whole makes of them."""
    _set_aside(mentions, fields)
    _take_back(words, mentions, cues)
    _years(words, mentions)
    _unknown_alternatives(words, mentions)
    _questions(words, tail, mentions)
    if len(mentions) > 1:
        _glosses(words, tail, mentions)
        resolve(words, mentions)
        _shares(words, tail, mentions)
    _correct(mentions, cues)
    _conclude(words, mentions, cues, fields)


def _set_aside(mentions: Sequence[Mention], fields: Fields) -> None:
    """Names in a field such as "Similar species: …" are not the answer."""
    for start, end in fields.aside:
        for mention in mentions:
            if start <= mention.start < end:
                mention.status = Status.CONTRASTED


def _take_back(words: Sequence[Word], mentions: Sequence[Mention], cues: Sequence[Cue]) -> None:
    """ "Looks like X, but …" compares, unless only doubts follow in the sentence: "…, but I am not sure"."""
    turns = [cue.start for cue in cues if cue.has("adversative")]
    doubts = [cue.start for cue in cues if cue.has("abstained") or cue.has("hedged") or cue.has("alternative")] if turns else []
    ends = [i for i, word in enumerate(words) if i and word.rank >= SENTENCE] if turns else []
    for mention in mentions if turns else ():
        after = bisect_left(turns, mention.end)
        if mention.status is Status.TENTATIVE and after < len(turns):
            end = bisect_left(ends, mention.end)
            stop = ends[end] if end < len(ends) else len(words)
            if turns[after] < stop and not _within(doubts, turns[after], stop):
                mention.status = Status.COMPARED


def _within(places: Sequence[int], start: int, end: int) -> bool:
    """Whether one of the sorted places lies in [start, end)."""
    first = bisect_left(places, start)
    return first < len(places) and places[first] < end


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
            right.attached = connected(words, left, right)


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


def _questions(words: Sequence[Word], tail: str, mentions: Sequence[Mention]) -> None:
    """A name that a question ends with is tentative, and so are those joined to it: "House Finch or Purple Finch?"."""
    for index, mention in enumerate(mentions):
        answered = mention.end < len(words) and words[mention.end].text in _YES
        if mention.status is Status.ASSERTED and "?" in _gap(words, tail, mention.end) and not answered:
            govern(words, mentions, index, -1, Status.TENTATIVE)


def _glosses(words: Sequence[Word], tail: str, mentions: Sequence[Mention]) -> None:
    """After a name has been asserted, what is said of another one is no answer: "Beagle. Harrier: larger, longer legs"."""
    asserted: set[Name] = set()
    for mention in mentions:
        if mention.status is not Status.ASSERTED or FINE not in mention.name.levels:
            continue
        glossed = _GLOSS.match(_gap(words, tail, mention.end)) and not words[min(mention.end, len(words) - 1)].text.isdecimal()
        if glossed and asserted - {mention.name}:
            mention.status = Status.TENTATIVE
        else:
            asserted.add(mention.name)


def _shares(words: Sequence[Word], tail: str, mentions: Sequence[Mention]) -> None:
    """Of names with a percentage each, one above half is meant: "House Finch (80%), Purple Finch (20%)"."""
    ahead = bool(mentions) and _share_before(words, mentions[0]) is not None  # "80% House Finch, 20% Purple Finch"
    stated = [_share_before(words, m) if ahead else _share(words, tail, m) for m in mentions]
    shares = {i: share for i, share in enumerate(stated) if share is not None}
    settled = max(shares.values(), default=0) > _MAJORITY
    for i, share in shares.items():
        if settled and share <= _MAJORITY and mentions[i].status is Status.ASSERTED:
            mentions[i].status = Status.TENTATIVE


def _share(words: Sequence[Word], tail: str, mention: Mention) -> int | None:
    """The percentage directly after a name."""
    for i in range(mention.end, min(len(words), mention.end + 1 + _SHARE_WORDS)):
        if words[i].rank == LINE:
            return None
        if words[i].text.isdecimal() and len(words[i].text) <= 3 and _gap(words, tail, i + 1).lstrip().startswith("%"):
            return int(words[i].text)
        if words[i].text in ("0", "00") and i + 1 < len(words) and words[i + 1].gap == "." and words[i + 1].text.isdecimal():
            return int(100 * float(f"0.{words[i + 1].text}"))
    return None


def _share_before(words: Sequence[Word], mention: Mention) -> int | None:
    """The percentage directly before a name."""
    before = words[mention.start - 1].text if mention.start else ""
    return int(before) if before.isdecimal() and len(before) <= 3 and words[mention.start].gap.strip() == "%" else None


def _gap(words: Sequence[Word], tail: str, end: int) -> str:
    """The text between the words before `end` and the next one."""
    return words[end].gap if end < len(words) else tail


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
    """If a name in words[start:end] is asserted, make the asserted ones outside it tentative, and alternatives before it."""
    inside = [mention for mention in mentions if start <= mention.start < end]
    if not any(mention.status is Status.ASSERTED and not mention.is_year for mention in inside):
        return False
    for mention in mentions:
        outside = not start <= mention.start < end and mention.start < demoted_before
        if outside and (mention.status is Status.ASSERTED or (mention.status is Status.ALTERNATIVE and mention.start < start)):
            mention.status = Status.TENTATIVE
    return True
