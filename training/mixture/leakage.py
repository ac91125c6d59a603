"""Keeping test data out of a mixture: names of held-out concepts."""

from __future__ import annotations

from collections.abc import Iterable

from finer_tasks.datasets.record import Concept
from finer_tasks.text import normalize


class NameSearch:
    """Finds whether a text names any of many concepts, by whole words of the normalised text."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_first: dict[str, set[tuple[str, ...]]] = {}
        for name in names:
            words = tuple(normalize(name).split())
            if words:
                self._by_first.setdefault(words[0], set()).add(words)

    def find(self, text: str) -> str | None:
        """The first name that occurs in the text, None if none does."""
        words = normalize(text).split()
        for position, word in enumerate(words):
            for name in self._by_first.get(word, ()):
                if tuple(words[position : position + len(name)]) == name:
                    return " ".join(name)
        return None


def concept_names(concepts: Iterable[Concept]) -> set[str]:
    """All names that denote these fine concepts."""
    return {name for concept in concepts for name in (*concept.fine, *concept.aliases)}
