"""Parsing of generated attribute lists: "Required:" and "Likely:" with bullets of any style."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

MAX_CHARACTERS = 100_000
MAX_PHRASES = 100
MAX_PHRASE_LENGTH = 200
LABELS = ("required", "likely")
_BULLET = re.compile(r"(?:[-*•‣·+–—]|\(?\d{1,3}[.):])\s+")
# A heading that follows a sentence on the same line, as the benchmark's own parser finds it.
_INLINE = re.compile(r"(?<=[^\W\d_][.,;:!?] )(?=[*_]*(?:Required|Likely):)")
_COMMA = re.compile(r"[;,]")
_WORD = re.compile(r"[^\W_]+")
_UNWANTED = re.compile(r"[*_`\x00-\x1f\ud800-\udfff]")
_NOTHING = {"none", "n/a", "na", "nothing", "no attributes", "-"}
# Words that a heading may put after "required" or "likely" and still be nothing but a heading.
_GENERIC = {
    "attribute", "attributes", "characteristic", "characteristics", "distinguishing", "external", "feature", "features",
    "identifying", "list", "phrases", "physical", "properties", "traits", "visible", "visual",
}  # fmt: skip
# The longest heading in words beside "required" or "likely".
_HEADING_WORDS = 7


@dataclass(frozen=True)
class AttributeLists:
    """Phrases under each heading, in order, without repetitions; `parsed` is False if no list was found."""

    required: tuple[str, ...]
    likely: tuple[str, ...]
    parsed: bool

    @property
    def all(self) -> tuple[str, ...]:
        return self.required + tuple(phrase for phrase in self.likely if phrase not in self.required)


@dataclass(frozen=True)
class _Line:
    """A line without bullet and heading; `label` is the heading's kind, "" if it has none."""

    label: str
    text: str
    bulleted: bool


def parse_lists(text: str) -> AttributeLists:
    """Read a reply. Bullets before any heading count as required; text without bullets is not a list.

    Dash, star, dot and numbered bullets, nested ones, and several phrases behind a heading are read;
    "none" is an empty list. A heading is "Required" or "Likely" with a colon, numbered or marked up or
    not ("1. **Required attributes:**"), or alone on its line; "- likely a red eye ring" is a phrase.
    Bullets that each bear a label ("- Required: black cap") are one phrase each. At most MAX_PHRASES a
    heading are kept, and a second pair of headings (an example echoed after the answer) is ignored.
    """
    lines = [_read(piece) for line in text[:MAX_CHARACTERS].splitlines() for piece in _INLINE.split(line)]
    labelled = Counter(line.label for line in lines if line.bulleted and line.text)
    found: dict[str, dict[str, str]] = {label: {} for label in LABELS}
    current, seen, parsed = "required", set(), False
    for line in lines:
        is_item = not line.label or (line.bulleted and bool(line.text) and labelled[line.label] > 1)
        if not is_item:
            if line.label in seen and line.label != current:
                break
            seen.add(line.label)
        current = line.label or current
        if line.text and (line.label or line.bulleted or (seen and _phrase(line.text).casefold() in _NOTHING)):
            parsed = True
            _extend(found[current], [line.text] if is_item else _COMMA.split(line.text))
    return AttributeLists(tuple(found["required"].values()), tuple(found["likely"].values()), parsed)


def _read(line: str) -> _Line:
    body = line.strip()
    text = body.lstrip("#> \t")
    bullet = _BULLET.match(text)
    text = text[bullet.end() :] if bullet else text
    is_marked = not bullet and (body.startswith("#") or (body.startswith("**") and body.endswith("**")))
    head, colon, rest = text.partition(":")
    rest = rest.strip(" *_")
    label = _label(head, bool(colon), bool(rest), bullet is not None, is_marked)
    return _Line(label, rest if label else text, bullet is not None)


def _label(head: str, has_colon: bool, has_rest: bool, is_bulleted: bool, is_marked: bool) -> str:
    """The label of a heading, from the text before its colon; "" if the line is none."""
    if '"' in head:  # a key of JSON, whose brackets and quotes are no part of a phrase
        return ""
    words = _WORD.findall(head.partition("(")[0].casefold())
    if words and words[0] in LABELS:
        is_bare = all(word in _GENERIC for word in words[1:])
        is_short = len(words) <= _HEADING_WORDS and not has_rest and (has_colon or is_marked)
        return words[0] if is_bare or is_short else ""
    words = _WORD.findall(head.casefold())
    named = {word for word in words if word in LABELS}
    if is_bulleted or has_rest or not (has_colon or is_marked) or len(named) != 1 or "not" in words:
        return ""
    return named.pop() if len(words) <= _HEADING_WORDS else ""


def _extend(phrases: dict[str, str], texts: Iterable[str]) -> None:
    """Add phrases that are new, by their case-folded form; a bullet that only heads others ("Wings:") is none."""
    for text in texts:
        if len(phrases) == MAX_PHRASES:
            return
        phrase = _phrase(text)
        if phrase and phrase.casefold() not in _NOTHING and not phrase.endswith(":"):
            phrases.setdefault(phrase.casefold(), phrase)


def _phrase(text: str) -> str:
    return " ".join(_UNWANTED.sub(" ", text).split()).lstrip("-• ").rstrip(" .;,")[:MAX_PHRASE_LENGTH].rstrip()
