"""Figures of a document whose question leaves the model free to decline.

The strict scorer tells what a refusal is: its reason `abstained`. An answer is given where the model said something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finer_tasks.replies import COUNTED_AS
from finer_tasks.scoring.judge import Items, naming_items

DECLINED = "abstained"
# Reasons of the strict scorer for documents to which no answer was given.
NOT_ANSWERED = frozenset((DECLINED, "empty", *COUNTED_AS))


def abstaining_items(
    doc: Mapping[str, Any], outputs: Sequence[str], level: str, readable: bool = True, parent: str = "none"
) -> Items:
    """The figures of naming_items, in which a refusal is wrong, and these.

    answered: whether an answer was given. declined: whether the model refused one; empty replies and failed requests are
    neither. em_answered, em_strict_answered: the scores of the answers given, none elsewhere.
    """
    items = naming_items(doc, outputs, level, readable, parent)
    concept = {"concept_id": doc["concept_id"]}
    reason = items["em_strict"]["reason"]
    answered = reason not in NOT_ANSWERED
    items["answered"] = {"score": float(answered)} | concept
    items["declined"] = {"score": float(reason == DECLINED)} | concept
    for name in ("em", "em_strict"):
        items[f"{name}_answered"] = {"score": items[name]["score"]} | concept if answered else concept
    return items
