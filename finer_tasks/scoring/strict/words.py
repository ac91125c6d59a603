"""Cutting a text into words, in the form in which names and cues are compared."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

# So many words and characters of an answer are read; what comes after them is not an answer any more.
MAX_WORDS = 1000
MAX_CHARACTERS = 40 * MAX_WORDS

NO_BREAK, CLAUSE, SENTENCE, LINE = range(4)

_SPELLING = {
    "grey": "gray",
    "colour": "color",
    "favour": "favor",
    "coloured": "colored",
    "tricoloured": "tricolored",
    "moustached": "mustached",
    "aeroplane": "airplane",
}
_IRREGULAR = (
    ("geese", "goose"), ("mice", "mouse"), ("wolves", "wolf"), ("calves", "calf"), ("leaves", "leaf"), ("knives", "knife"),
    ("children", "child"), ("fungi", "fungus"), ("cacti", "cactus"),
)  # fmt: skip
_KEEPS_S = ("ss", "us", "is")
_NO_PLURALS = frozenset({"mops"})
_DROPS_E = ("che", "she", "xe", "ze", "se")
_CHARACTERS: dict[int, str | None] = {ord(char): "-" for char in "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d"}
_CHARACTERS |= {ord(char): "'" for char in "\u2018\u2019\u201b\u02bc`\u00b4"}
_CHARACTERS |= {ord(char): '"' for char in "\u201c\u201d\u201e\u00ab\u00bb"}
_CHARACTERS |= {ord(char): None for char in "\u00ad\u200b\u200c\u200d\u2060\ufeff"}
_CHARACTERS |= {ord("&"): " and ", ord("\u2014"): " \u2014 ", ord("\u2192"): ">", ord("\u0131"): "i", ord("\u00d7"): " x "}
_CHARACTERS |= {ord(char): ": no " for char in "\u274c\u2717\u2718"}
_CHARACTERS[ord("\u2610")] = " not "  # an empty box
_POSSESSIVE = re.compile(r"(?<=[^\W\d_])'s(?![^\W_])")
_NUMBER_PLURAL = re.compile(r"(?<=\d)'?s(?![^\W_])")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_ABBREVIATIONS = {"st", "mt", "dr", "mr", "mrs", "ms", "vs", "cf", "ca", "approx", "eg", "sp", "spp", "subsp", "var", "conv"}


class Word(NamedTuple):
    """A word of a text.

    Attributes:
        text: the folded word.
        shown: the word as it stands, in lower case.
        gap: the text between the word before and this one.
        rank: how strongly the gap parts the two: NO_BREAK, CLAUSE, SENTENCE or LINE.
    """

    text: str
    shown: str
    gap: str
    rank: int

    @property
    def joined(self) -> bool:
        """Whether nothing, a hyphen or a slash stands between the word before and this one."""
        return self.gap in ("", "-", "/")


def words_of(text: str) -> list[str]:
    """The folded words of a text: lower case, no accents or apostrophes, singular, hyphens as spaces."""
    return [fold(word) for word in _WORD.findall(clean(text))]


def read(text: str) -> tuple[list[Word], str]:
    """The words at the start of an answer, and the text after the last of them."""
    text = clean(text[:MAX_CHARACTERS])
    words: list[Word] = []
    before, end = "", 0
    for match in _WORD.finditer(text):
        start = match.start()
        if len(words) == MAX_WORDS:
            return words, text[end:start]
        shown = match.group()
        word = _word(text[end:start], shown)
        if word.rank > NO_BREAK and _is_within_name(before, word):
            word = word._replace(rank=NO_BREAK)
        words.append(word)
        before, end = shown, match.end()
    return words, text[end:]


@lru_cache(maxsize=1 << 16)
def _word(gap: str, shown: str) -> Word:
    return Word(fold(shown), shown, gap, _rank(gap))


def clean(text: str) -> str:
    """The text in lower case, with one kind of hyphen and apostrophe, without accents and possessive endings."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_CHARACTERS)).casefold().translate(_CHARACTERS)
        text = "".join(char for char in text if not unicodedata.combining(char))
    text = text.casefold().replace("&", " and ").replace("`", "'")
    if "[" in text:
        text = text.replace("[ ]", " not ").replace("[x]", "")
    if "'" in text:
        text = _POSSESSIVE.sub("", text)
        text = _NUMBER_PLURAL.sub("", text).replace("'", "")
    return _NUMBER_PLURAL.sub("", text)


@lru_cache(maxsize=1 << 16)
def fold(word: str) -> str:
    """One form for a word's singular and plural and for its spellings; a form need not be a word itself."""
    word = _SPELLING.get(word, word)
    if len(word) < 4 or word in _NO_PLURALS:
        return word
    for plural, singular in _IRREGULAR:
        if word.endswith(plural):
            word = word.removesuffix(plural) + singular
    if word.endswith("s") and not word.endswith(_KEEPS_S):
        word = word[:-1]
    if word.endswith(_DROPS_E) or (len(word) > 4 and word.endswith("oe")):
        return word[:-1]
    return word[:-2] + "y" if word.endswith("ie") else word


def _rank(gap: str) -> int:
    """How strongly a gap parts two words."""
    if gap in ("", " ", "-", "/", "_"):
        return NO_BREAK
    if "\n" in gap or "\r" in gap:
        return LINE
    if any(char in gap for char in ".!?\u2026"):
        return SENTENCE
    clause = any(char in gap for char in ",;:()[]{}|>=\u2014") or " -" in gap or "- " in gap
    return CLAUSE if clause else NO_BREAK


def _is_within_name(before: str, word: Word) -> bool:
    """Whether a full stop or comma ends nothing: "16.4", "1,900", "St. Bernard", "P. nigripes"."""
    if word.gap == ".":
        return True
    if word.gap == ". ":
        return (len(before) == 1 and before.isalpha()) or before in _ABBREVIATIONS
    return word.gap == "," and before.isdigit() and word.shown.isdigit()
