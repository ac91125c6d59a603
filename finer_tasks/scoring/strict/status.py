"""How an answer uses each name it mentions: the cues applied to the names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from finer_tasks.scoring.strict.cues import Cue, Fields, find_cues, find_fields
from finer_tasks.scoring.strict.finding import find_names
from finer_tasks.scoring.strict.lexicon import Lexicon
from finer_tasks.scoring.strict.mentions import Mention, Reading, Status, govern
from finer_tasks.scoring.strict.names import Found
from finer_tasks.scoring.strict.parted import merged, needs_parts, parted
from finer_tasks.scoring.strict.references import with_references
from finer_tasks.scoring.strict.revision import revise
from finer_tasks.scoring.strict.words import CLAUSE, LINE, NO_BREAK, SENTENCE, Word, read, words_of

NEXT_WORDS = 12
NEAR_WORDS = 3
PREVIOUS_WORDS = 15
AFTER_WORDS = 2
_LIST_WORDS = 30


_STOPS = frozenset(words_of("but however so because since therefore thus hence instead"))
_LABEL_MARKS = (":", "=", "\n", "- ", "\u2013")
_ASKS = ("?", ":", "(", "=", "..")
_OF = frozenset(words_of("of in from"))
_PREPOSITIONS = frozenset(words_of("of on in with from at by to for"))


def read_answer(answer: str, lexicon: Lexicon) -> Reading:
    """Find the names in an answer and decide how each is used."""
    words, tail = read(answer)
    fields = find_fields(words, tail) if any(mark in answer for mark in _LABEL_MARKS) else Fields(frozenset(), (), ())
    found = find_names(lexicon, words, fields.dropped)
    if lexicon.models and needs_parts(found, lexicon.parts):
        found = merged(found, parted(words, lexicon.models))
    if not found:
        found = _short(words, lexicon)
    mentions = [Mention(one.phrase, one.name, one.start, one.end) for one in with_references(words, found)]
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    cues = find_cues(words, inside)
    if mentions:
        _mark_places(words, mentions, "**" in answer)
        for cue in cues:
            _apply(words, mentions, cue)
        revise(words, tail, mentions, cues, fields)
    return Reading(tuple(mentions), any(cue.has("abstained") for cue in cues))


def abstains(answer: str, lexicon: Lexicon) -> bool:
    """Whether an answer says somewhere that it gives none, even if it names something beside."""
    return read_answer(answer, lexicon).abstains


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


def _apply(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue) -> None:
    """Give the name that a cue speaks of its status; the first use of the cue that finds one counts."""
    for kind, direction in cue.uses:
        if kind not in Status._value2member_map_:
            continue
        status = Status(kind)
        if direction == "list":
            _list(words, mentions, cue, status)
            return
        if direction in ("next", "near", "of", "sentence"):
            index, step = _following(words, mentions, cue, direction), 1
        else:
            index, step = _preceding(words, mentions, cue, direction, status), -1
        if status is Status.RANGE:  # of years alone: "2012 or later"
            if index is not None and mentions[index].is_year:
                mentions[index].status = status
        elif index is not None:
            govern(words, mentions, index, step, status)
            return


def _list(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue, status: Status) -> None:
    """Give a status to all names after a cue in its sentence, with unknown ones between: "puffins, murres and auklets"."""
    limit = min(len(words), cue.end + _LIST_WORDS)
    end = next((i for i in range(cue.end, limit) if words[i].rank >= SENTENCE or words[i].text in _STOPS), limit)
    for mention in mentions[bisect_left(mentions, cue.end, key=lambda mention: mention.start) :]:
        if mention.start >= end:
            break
        mention.status = status


def _following(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue, direction: str) -> int | None:
    """The first name after a cue, as far as its direction reaches, before a word such as "but"."""
    index = bisect_left(mentions, cue.end, key=lambda mention: mention.start)
    if index == len(mentions) or words[cue.start].gap == "-":  # "an otter-like head"
        return None
    between = range(cue.end, mentions[index].start)
    limit = SENTENCE if direction == "sentence" else CLAUSE
    if any(words[i].rank >= limit for i in (*between, mentions[index].start)):
        return None
    if direction != "sentence" and len(between) > (NEAR_WORDS if direction == "near" else NEXT_WORDS):
        return None
    if direction == "of" and not any(words[i].text in _OF for i in between[-2:]):
        return None
    stops = _STOPS | _PREPOSITIONS if direction == "near" else _STOPS
    return None if any(words[i].text in stops for i in between) else index


def _preceding(words: Sequence[Word], mentions: Sequence[Mention], cue: Cue, direction: str, status: Status) -> int | None:
    """The last name before a cue: on its line, or directly before it."""
    index = bisect_right(mentions, cue.start, key=lambda mention: mention.end) - 1
    if index < 0 or cue.start - mentions[index].end > PREVIOUS_WORDS:
        return None
    mention = mentions[index]
    distance = cue.start - mention.end
    rank = max(words[i].rank for i in range(mention.end, cue.start + 1))
    ends = cue.end == len(words) or words[cue.end].rank >= CLAUSE
    if direction == "previous":
        fits = rank < LINE
    elif direction == "reply":
        fits = distance == 0 and CLAUSE <= rank < LINE and ends and any(mark in words[cue.start].gap for mark in _ASKS)
    elif status in (Status.HYBRID, Status.COMPARED):
        fits = distance == 0 and rank < CLAUSE
    elif status is Status.TENTATIVE:  # the subject of its sentence: "Ring-billed Gulls have …"
        before = range(max(0, mention.start - NEAR_WORDS), mention.start + 1)
        begins = before.start == 0 or any(words[i].rank >= CLAUSE for i in before)
        fits = distance < AFTER_WORDS and rank < CLAUSE and begins
    else:
        fits = distance <= AFTER_WORDS and rank < SENTENCE and (ends or status is not Status.HEDGED)
    return index if fits else None
