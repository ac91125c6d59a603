"""Finding the names of a dataset's concepts among the words of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from finer_tasks.scoring.strict.designations import bare, narrowed
from finer_tasks.scoring.strict.lexicon import PREFIX, YEAR_PATTERN, Lexicon
from finer_tasks.scoring.strict.names import COARSE, YEAR, Found, Name
from finer_tasks.scoring.strict.words import CLAUSE, NO_BREAK, Word

_SPLIT_FROM = 6
_QUALIFIERS = 4
_GROUP_NOUNS = frozenset({"family", "group", "order"})
_SHARED = 5
_BETWEEN = 5
_JOINING = frozenset({"or", "nor", "and", "not", "rather", "than", "over", "vs", "versus", "instead"})
_BESIDE_JOINING = frozenset({"of", "a", "an", "the"})
# "one of the most common gulls" speaks of no Common Gull.
_DEGREES = frozenset({"most", "more", "less", "very", "fairly", "quite", "rather"})


def find_names(lexicon: Lexicon, words: Sequence[Word], dropped: frozenset[int] = frozenset()) -> list[Found]:
    """Names among the words, longest first at each position, none inside another.

    `dropped` are words to read over: labels of fields such as "Model:".
    """
    years = [i for i, word in enumerate(words) if YEAR_PATTERN.fullmatch(word.text)] if lexicon.years else []
    skipped = dropped.union(years)
    order: Sequence[int] = [i for i in range(len(words)) if i not in skipped] if skipped else range(len(words))
    parted = _parted(words, order, dropped)
    dated = [
        Found(words[i].text, Name(lexicon.years.get(words[i].text, frozenset()), frozenset([YEAR])), i, i + 1) for i in years
    ]
    found: list[Found] = []
    designated: Found | None = None  # the last name that a bare designation can go on from
    position = 0
    while position < len(order):
        start = order[position]
        length, name = _longest(lexicon, words, order, parted, position)
        if name is not None:
            end = order[position + length - 1] + 1
            name, end = narrowed(lexicon, name, words, start, end)
            name, end = _inverted(lexicon, name, words, start, end)
            if COARSE in name.levels and end < len(words) and words[end].text in _GROUP_NOUNS:
                name = replace(name, levels=frozenset([COARSE]))  # "the cardinal family" is not the species
            designated = Found("", name, start, end)
            found.extend(_elliptic(lexicon, words, found[-1].end if found else 0, start, end))
        elif designated and (name := bare(lexicon, words, designated, start)):
            end = start + 1
        else:
            position += 1
            continue
        phrase = " ".join(words[i].shown for i in range(start, end) if i not in skipped)
        found.append(Found(phrase, name, start, end))
        while position < len(order) and order[position] < end:
            position += 1
    return sorted([*dated, *found], key=lambda one: one.start)


def _longest(
    lexicon: Lexicon, words: Sequence[Word], order: Sequence[int], parted: Sequence[bool], start: int
) -> tuple[int, Name | None]:
    """How many words the longest name from a position has, and what it denotes."""
    key = words[order[start]].text
    reach = lexicon.reach.get(key[:PREFIX])
    if reach is None or (key == "common" and start and words[order[start] - 1].text in _DEGREES):
        return 0, None
    length, name, listed = 1, lexicon.names.get(key), False
    best = 1 if name else 0
    while len(key) <= reach and start + length < len(order):
        word = words[order[start + length]]
        if parted[start + length]:
            listed = bool(lexicon.listed) and word.gap == ", "
            if not listed:
                break
        key += word.text
        length += 1
        longer = lexicon.names.get(key)
        if longer is None or (listed and key not in lexicon.listed):
            continue
        # "an i" is not the bird "Ani".
        if len(key) >= _SPLIT_FROM or word.joined or not lexicon.is_one_word(key):
            best, name = length, longer
    return best, name


def _inverted(lexicon: Lexicon, name: Name, words: Sequence[Word], start: int, end: int) -> tuple[Name, int]:
    """A group's name with the rest of a fine name behind it: "Poodle (Standard)", "Gull, Herring"."""
    if end == len(words) or words[end].gap not in (" (", ", ", " - ") or not (name.kin or COARSE in name.levels):
        return name, end
    while start and words[start].gap == "-":  # "Screech-Owl, Western"
        start -= 1
    group = _key(words, start, end)
    key, stop = "", end
    while stop < len(words) and stop - end < _QUALIFIERS and (stop == end or words[stop].rank == NO_BREAK):
        key += words[stop].text
        stop += 1
    closed = stop == len(words) or words[stop].rank >= CLAUSE
    whole = lexicon.names.get(key + group) if closed else None
    return (whole, stop) if whole is not None and whole.denotes <= (name.kin or name.denotes) else (name, end)


def _elliptic(lexicon: Lexicon, words: Sequence[Word], first: int, start: int, end: int) -> list[Found]:
    """Names before one that share its last word: "Herring or Western Gull", "Norfolk/Norwich Terrier"."""
    found: list[Found] = []
    right, last = start, words[end - 1].text
    while end - start > 1 and len(found) < _SHARED:
        left = right - 1
        while left >= first and right - left <= _BETWEEN and words[left].text in _JOINING | _BESIDE_JOINING:
            left -= 1
        joined = any(word.text in _JOINING for word in words[left + 1 : right]) or words[right].gap == "/"
        listed = bool(found) and left == right - 1 and words[right].gap == ", "
        if left < first or words[left + 1].rank > CLAUSE or not (joined or listed):
            break
        begin = next((i for i in (left - 1, left) if i >= first and _key(words, i, left + 1) + last in lexicon.names), None)
        if begin is None:
            break
        name = lexicon.names[_key(words, begin, left + 1) + last]
        found.append(Found(" ".join(word.shown for word in words[begin : left + 1]), name, begin, left + 1))
        right = begin
    return found


def _key(words: Sequence[Word], start: int, end: int) -> str:
    return "".join(word.text for word in words[start:end])


def _parted(words: Sequence[Word], order: Sequence[int], dropped: frozenset[int]) -> list[bool]:
    """Whether a name ends before each word; the value of a field goes on with the value of the next."""
    parted, left = [], -1
    for right in order:
        broken = words[right].rank > NO_BREAK or (right - left > 1 and any(word.rank for word in words[left + 1 : right]))
        parted.append(broken and right - 1 not in dropped)
        left = right
    return parted
