""" "The former" and "the latter" of two names."""

from __future__ import annotations

from collections.abc import Sequence

from finer_tasks.scoring.strict.mentions import Mention, Status
from finer_tasks.scoring.strict.names import SUPERORDINATE, Found
from finer_tasks.scoring.strict.words import Word

_PLACES = {"former": -2, "latter": -1}
_OPEN = (Status.ASSERTED, Status.TENTATIVE, Status.HEDGED, Status.ALTERNATIVE)


def with_references(words: Sequence[Word], found: Sequence[Found]) -> list[Found]:
    """The names found, with each "the former" and "the latter" as one more mention of its name."""
    places = [i for i, word in enumerate(words) if word.text in _PLACES and i and words[i - 1].text == "the"]
    if not places:
        return list(found)
    whole: list[Found] = []
    rest = [*found]
    named = [one for one in found if max(one.name.levels) > SUPERORDINATE]
    for place in places:
        before = [one for one in named if one.end <= place][-2:]
        if len(before) == 2 and before[0].name != before[1].name:
            one = before[_PLACES[words[place].text]]
            whole.append(Found(one.phrase, one.name, place, place + 1))
    return sorted([*rest, *whole], key=lambda one: one.start)


def resolve(words: Sequence[Word], mentions: Sequence[Mention]) -> None:
    """The two names that "the latter" chooses between say nothing beside it."""
    for index, mention in enumerate(mentions):
        if mention.status is not Status.ASSERTED or words[mention.start].text not in _PLACES:
            continue
        pair = [m for m in mentions[:index] if max(m.name.levels) > SUPERORDINATE and words[m.start].text not in _PLACES][-2:]
        for one in pair:
            if one.status in _OPEN:
                one.status = Status.TENTATIVE
