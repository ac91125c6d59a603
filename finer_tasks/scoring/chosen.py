"""Which option an answer to a multiple-choice question chooses: by its letter, by its name, or by both.

A name is read as the strict scorer reads it: an option is named where the answer would be right if it were the true concept.
Beside this reading stand those of two published benchmarks, which look at letters alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from finer_tasks.datasets.record import dataset_of
from finer_tasks.options.choosing import Options, kinds_of
from finer_tasks.scoring.judge import lexicon
from finer_tasks.scoring.strict import score_strict, words_of

# Why an answer chooses no option, beside the reasons of the strict scorer that are kept.
CONTRADICTORY, SEVERAL_LETTERS, UNLISTED, NO_OPTION = "contradictory", "several_letters", "unlisted_name", "no_option"
RIGHT, WRONG = "right", "wrong_option"
_KEPT = ("several", "hybrid", "negated", "compared", "hedged", "abstained", "empty")
# Stands for an option's name; a word, so that "A" before it is read as an article.
_MASK = "\u03a9\u03a9"
# "A" and "I" before a word are no letters of options, unless the word speaks of them as such.
_NO_WORD = r"(?![aAiI]\s+(?!(?i:is|was|because|since|as|due|or|and|nor|but|option|choice)\b)[^\W\d_])"
_OPENING, _CLOSING = r"[(\[{<\"'*_`]", r"[)\]}>\"'*_`]"
_FREE_LEFT, _FREE_RIGHT = r"(?<![\w'\u2019.&-])", r"(?![\w'\u2019&-])(?!\.\s*[A-Z]\b)"


@dataclass(frozen=True)
class Chosen:
    """What an answer chooses: the position of an option or None, the reason in the second case, and how it says so."""

    position: int | None
    reason: str
    by: str = ""


def read_choice(answer: str, doc: Mapping[str, Any], level: str, options: Options) -> Chosen:
    """The option that an answer chooses. `doc` has the id and the labels of the document."""
    if not answer.strip():
        return Chosen(None, "empty")
    letters = letters_in(answer, options)
    if len(letters) > 1:
        return Chosen(None, SEVERAL_LETTERS)
    name = _name_in(answer, doc, level, options)
    if not letters:
        return name
    (letter,) = letters
    if name.position is None and name.reason != UNLISTED:
        return Chosen(letter, "", "letter")
    return Chosen(letter, "", "both") if name.position == letter else Chosen(None, CONTRADICTORY)


def letters_in(answer: str, options: Options) -> list[int]:
    """The positions whose letters an answer gives, outside of the options' names.

    A letter that is all of the answer, heads a line with a mark behind it, stands in bold or brackets, or follows a word such
    as "option" is taken as the choice. Where there is none, so is any capital letter that is a word of its own. "A" before a
    word is an article. Of letters joined by "or" or the like none is a choice, unless the answer says what it is elsewhere.
    """
    joined, plain, told, loose, denied = _patterns(options.letters)
    text = denied.sub(" ", _masked(answer, options.names))
    if pairs := list(joined.finditer(text)):
        inside = {match.start(group) for match in pairs for group in (1, 2)}
        found = [match[1] for match in told.finditer(text) if match.start(1) not in inside] or [pairs[0][1], pairs[0][2]]
    else:
        places = {match.start(1): match[1] for pattern in plain for match in pattern.finditer(text)}
        places = places or {match.start(1): match[1] for match in loose.finditer(text)}
        found = [places[place] for place in sorted(places)]
    return [options.letters.index(letter) for letter in dict.fromkeys(map(str.upper, found))]


@cache
def _patterns(
    letters: str,
) -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Letters joined by "or" or the like; those meant as a choice; those that "the answer is"; words of their own; those denied
    by "not"."""
    any_case, capital = f"([{letters}{letters.lower()}])", f"([{letters}])"
    marked, word = f"{_OPENING}{any_case}{_CLOSING}", f"{_FREE_LEFT}{_NO_WORD}{capital}{_FREE_RIGHT}"
    speaks = r"(?i:\b(?:option|choice|letter|answer)\b)(?:\s+is|\s*[:=])?"
    plain = (
        rf"^\W*{any_case}\W*$",
        rf"(?:^|\n)[^\S\n]*{_OPENING}*{any_case}\s*(?:{_CLOSING}+|[.:;](?!\w)|\s[-\u2013\u2014]\s|\n)",
        marked,
        rf"{speaks}\s*{_OPENING}*{_NO_WORD}{any_case}\b(?!['\u2019]\w)",
        rf"(?i:\b(?:option|letter))\s+{_OPENING}*{capital}\b(?!['\u2019]\w)",
    )
    told = rf"(?i:\banswer\s+is\b|\banswer\s*[:=])\s*{_OPENING}*{_NO_WORD}{any_case}\b(?!['\u2019]\w)"
    bare = rf"{_FREE_LEFT}{_OPENING}?{capital}{_CLOSING}?"
    joined = rf"{bare}\s*(?:,|/|&|\bor\b|\band\b|\bnor\b)\s*{bare}(?!\w)"
    denied = rf"(?i:\bnot|n['\u2019]t)\s+(?i:(?:option|choice|letter)\s+)?{_OPENING}?{capital}{_CLOSING}?(?!\w)"
    return re.compile(joined), tuple(map(re.compile, plain)), re.compile(told), re.compile(word), re.compile(denied)


def _masked(answer: str, names: Sequence[str]) -> str:
    """The answer without the options' names, longer ones first: a Type R is no letter."""
    for name in sorted(names, key=len, reverse=True):
        pattern = r"(?<!\w)" + r"[\W_]+".join(map(re.escape, re.findall(r"\w+", name))) + r"(?!\w)"
        answer = re.compile(pattern, re.IGNORECASE).sub(_MASK, answer) if re.search(r"\w", name) else answer
    return answer


def _name_in(answer: str, doc: Mapping[str, Any], level: str, options: Options) -> Chosen:
    """The option that an answer names, or why it names none."""
    words = words_of(answer)
    if words in (shown := [words_of(name) for name in options.names]):
        return Chosen(shown.index(words), "", "name")
    # A species of a group names the group, whichever of its species that is.
    fits = ("right",) if level == "fine" else ("right", "wrong_sibling")
    reasons = [_reason_if_true(answer, str(doc["id"]), level, key) for key in options.keys]
    named = [position for position, reason in enumerate(reasons) if reason in fits]
    if len(named) == 1:
        return Chosen(named[0], "", "name")
    if len(named) > 1:
        return Chosen(None, "several")
    score = score_strict(answer, doc, level, lexicon(dataset_of(doc["id"])))
    if score.reason in _KEPT:
        return Chosen(None, score.reason)
    says_more = score.reason.startswith("wrong_") and score.specificity >= (3 if level == "fine" else 2)
    return Chosen(None, UNLISTED if says_more else NO_OPTION)


def _reason_if_true(answer: str, identity: str, level: str, key: str) -> str:
    """The strict scorer's reason if this were the true concept; empty where the dataset does not know it any more."""
    dataset = dataset_of(identity)
    if (kind := kinds_of(dataset, level).get(key)) is None:
        return ""
    concept = kind.example
    doc = {
        "id": identity,
        "superordinate": concept.superordinate,
        "coarse": list(concept.coarse),
        "fine": list(concept.fine),
        "concept_id": concept.concept_id,
    }
    return score_strict(answer, doc, level, lexicon(dataset)).reason


def by_first_letter(text: str, options: Options) -> int | None:
    """FOCI's rule: the option whose letter the reply begins with, in any case (benchmark/evaluate.py)."""
    first = text.strip()[:1].upper()
    return options.letters.index(first) if first and first in options.letters else None


def by_any_letter(text: str, options: Options) -> int | None:
    """TARA's rule: the first letter in the order of the options that occurs anywhere in the reply as a capital.

    So "The Answer is B" is read as A (evaluation/vllm/qwen/eval_natural_plant.py).
    """
    return next((position for position, letter in enumerate(options.letters) if letter in text), None)
