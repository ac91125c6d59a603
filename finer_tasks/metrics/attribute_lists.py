"""Parsing of generated attribute lists: "Required:" and "Likely:" with bullets of any style."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PHRASES = 100
MAX_PHRASE_LENGTH = 200
_HEADING = re.compile(r"^[\s#>*_-]*(required|likely)\b[^:\n]*?[*_\s]*:?[*_\s]*(?::\s*(?P<rest>.*))?$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•‣·+–—]|\(?\d{1,3}[.):])\s+(?P<text>.+)$")
_NOTHING = {"none", "n/a", "na", "nothing", "no attributes", "-"}


@dataclass(frozen=True)
class AttributeLists:
    """Phrases under each heading, in order, without repetitions; `parsed` is False if no list was found."""

    required: tuple[str, ...]
    likely: tuple[str, ...]
    parsed: bool

    @property
    def all(self) -> tuple[str, ...]:
        return self.required + tuple(phrase for phrase in self.likely if phrase not in self.required)


def parse_lists(text: str) -> AttributeLists:
    """Read a reply. Bullets before any heading count as required; text without bullets is not a list.

    Dash, star, dot and numbered bullets, nested ones, bold headings and several phrases behind a
    heading are read; "none" is an empty list. At most MAX_PHRASES a heading are kept, and a second
    pair of headings (an example echoed after the answer) is ignored.
    """
    found: dict[str, list[str]] = {"required": [], "likely": []}
    current, seen_headings, has_bullets = "required", [], False
    for line in text[:100_000].splitlines():
        if heading := _HEADING.match(line):
            current = heading.group(1).lower()
            if current in seen_headings:
                break
            seen_headings.append(current)
            if rest := (heading.group("rest") or "").strip(" *_"):
                has_bullets = True
                _extend(found[current], re.split(r"[;,]", rest))
        elif bullet := _BULLET.match(line):
            has_bullets = True
            _extend(found[current], [bullet.group("text")])
    return AttributeLists(tuple(found["required"]), tuple(found["likely"]), has_bullets)


def _extend(phrases: list[str], texts: list[str]) -> None:
    known = {phrase.casefold() for phrase in phrases}
    for text in texts:
        phrase = " ".join(re.sub(r"[*_`\x00-\x1f]", " ", text).split()).rstrip(" .;,")[:MAX_PHRASE_LENGTH]
        if phrase and phrase.casefold() not in _NOTHING and phrase.casefold() not in known and len(phrases) < MAX_PHRASES:
            phrases.append(phrase)
            known.add(phrase.casefold())
