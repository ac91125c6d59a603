"""Which labels a question gave away, and whether repeating one of them would count as right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finer_tasks.datasets.record import accepted_labels, labels_at, parent_level
from finer_tasks.scoring.classification import exact_match


def told_parent(variant: str, parent: str) -> str:
    """How a task's question tells the level above: gold, gold_joined (all labels) or none, as where the parent is predicted."""
    return "gold_joined" if variant == "attrseek" else parent if parent == "gold" else "none"


def told_labels(doc: Mapping[str, Any], level: str, parent: str) -> list[str]:
    """The gold labels of the level above that a question tells, with `parent` as told_parent gives it."""
    above = parent_level(level)
    if above is None or parent == "none":
        return []
    return labels_at(doc, above) if parent == "gold_joined" else labels_at(doc, above)[:1]


def is_echo(doc: Mapping[str, Any], level: str, parent: str) -> bool:
    """Whether repeating a label that the question told would count as right: it equals or contains an accepted one."""
    accepted = accepted_labels(doc, level)
    return any(exact_match(label, accepted) == 1.0 for label in told_labels(doc, level, parent))
