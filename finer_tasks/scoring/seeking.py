"""The first turn of AttrSeek: what may be wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from finer_tasks.text import normalize

STATES = ("empty", "endless", "named")
# A first turn longer than this, or that repeats a line so often, does not end.
MAX_LINES = 40
MAX_CHARACTERS = 4000
_MAX_REPEATS = 3


def seek_state(reply: str, labels: Sequence[str]) -> str:
    """What was wrong with a first turn: empty, endless, named (it tells the label already), or nothing ("")."""
    if not reply.strip():
        return "empty"
    if is_endless(reply):
        return "endless"
    words = f" {normalize(reply)} "
    return "named" if any(f" {normalize(label)} " in words for label in labels if normalize(label)) else ""


def is_endless(reply: str) -> bool:
    """Whether a first turn is too long to be put back into the conversation whole, or repeats itself."""
    lines = [line.strip() for line in reply.splitlines() if line.strip()]
    repeats = max(Counter(lines).values(), default=0)
    return len(lines) > MAX_LINES or len(reply) > MAX_CHARACTERS or repeats > _MAX_REPEATS
