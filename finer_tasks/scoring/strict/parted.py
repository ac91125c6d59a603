"""Cars whose maker and model stand apart: "BMW, M3, 2012"; "It's an Aston Martin. The strakes say Virage"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from finer_tasks.datasets.record import Concept
from finer_tasks.scoring.strict.names import FINE, Found, Name
from finer_tasks.scoring.strict.words import NO_BREAK, Word, words_of

_APART = 15
_MODEL_WORDS = 5
_MAKER_WORDS = 2
_OF = frozenset({"by", "from"})
_ARTICLES = frozenset({"the", "a", "an"})
_AFTER_NOUN = frozenset({"is", "are", "of", "on", "at", "in"})

Models = Mapping[str, Mapping[str, Name]]


def models_of(concepts: Iterable[Concept], names: Mapping[str, Name], makers: Mapping[str, Sequence[str]]) -> Models:
    """What a model denotes beside its maker: by the first words of the labels, what the rest of them stands for."""
    found: dict[str, dict[str, Name]] = {}
    for concept in concepts:
        for label in (*concept.fine, *concept.aliases, *concept.general):
            parts = ["".join(words_of(part)) for part in label.split()]
            for count in range(1, _MAKER_WORDS + 1):
                first, rest = "".join(parts[:count]), "".join(parts[count:])
                name = names.get(first + rest)
                if name is None or FINE not in name.levels or len(rest) < 2 or rest in names:
                    continue
                for maker in (first, *makers.get(first, ())):
                    found.setdefault(maker, {})[rest] = name
    return found


def parted(words: Sequence[Word], models: Models) -> list[Found]:
    """The models named apart from their makers."""
    found: list[Found] = []
    taken = 0
    for i in range(len(words)):
        for count in range(_MAKER_WORDS, 0, -1):
            known = models.get("".join(one.text for one in words[i : i + count]))
            if known is None:
                continue
            places = range(max(i + count, taken), min(len(words), i + count + _APART))
            if i > 1 and words[i - 1].text in _OF:  # "an M3 by BMW"
                places = range(max(taken, i - 1 - _MODEL_WORDS), i - 1)
            model = next((one for place in places if (one := _model(words, place, known)) and not _is_noun(words, one)), None)
            if model is not None:
                found.append(model)
                taken = model.end
            break
    return found


def _model(words: Sequence[Word], start: int, known: Mapping[str, Name]) -> Found | None:
    """The longest model that begins at a word."""
    key, longest = "", None
    for end in range(start, min(len(words), start + _MODEL_WORDS)):
        if end > start and words[end].rank > NO_BREAK:
            break
        key += words[end].text
        if name := known.get(key):
            longest = Found(" ".join(word.shown for word in words[start : end + 1]), name, start, end + 1)
    return longest


def _is_noun(words: Sequence[Word], model: Found) -> bool:
    """Whether a model's name is an ordinary word here: "the focus is on the headlights"."""
    article = model.start > 0 and words[model.start - 1].text in _ARTICLES
    return article and model.end < len(words) and words[model.end].text in _AFTER_NOUN and words[model.end].rank == NO_BREAK


def needs_parts(found: Sequence[Found], cabs: Mapping[Name, Name]) -> bool:
    """Whether no car is named, other than by its cab."""
    return not any(FINE in one.name.levels and one.name not in cabs for one in found)


def merged(found: Sequence[Found], apart: Sequence[Found]) -> list[Found]:
    """Both, without bodies within a model's name."""
    inside = {i for one in apart for i in range(one.start, one.end)}
    return sorted([*apart, *(one for one in found if one.start not in inside)], key=lambda one: one.start)
