"""Wrong names for a document, the nearest by the taxonomy first: what a question offers or claims beside the right name."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from finer_tasks.datasets.concepts import Concepts, concepts_of
from finer_tasks.datasets.record import LEVELS, Concept, accepted_labels, dataset_of, labels_at
from finer_tasks.errors import DatasetContentError
from finer_tasks.scoring.judge import lexicon
from finer_tasks.scoring.strict import score_strict

# Reasons of the strict scorer for names that are true of a document.
_TRUE = frozenset(("right", "too_general"))


@dataclass(frozen=True)
class Neighbour:
    """A wrong name, and the deepest level at which its concept has the document's label; nothing where there is none."""

    name: str
    shares: str


def neighbours(doc: Mapping[str, Any], level: str, draw: random.Random) -> Iterator[Neighbour]:
    """The wrong names of a level: first those below the same parent, then those one level up, and so on.

    Those of equal nearness come in an order that `draw` gives. At coarse level the names are first labels. A name that the
    strict scorer takes for true of the document, as a wider group's, is left out. Raises DatasetContentError where the
    dataset has no other name.
    """
    concepts, words = concepts_of(dataset_of(doc["id"])), lexicon(dataset_of(doc["id"]))
    seen = set(accepted_labels(doc, level))
    found = False
    for shares in (*reversed(LEVELS[: LEVELS.index(level)]), ""):
        names = _names(concepts, level, shares, labels_at(doc, shares)[0] if shares else "")
        for name in draw.sample(names, len(names)):
            if name not in seen and score_strict(name, doc, level, words).reason not in _TRUE:
                yield Neighbour(name, shares)
                found = True
        seen.update(names)
    if not found:
        raise DatasetContentError(
            f"{dataset_of(doc['id'])} has no {level} name beside {labels_at(doc, level)[0]!r}, and so none to set against it. "
            "Leave out the tasks that need one at this level"
        )


@cache
def _names(concepts: Concepts, level: str, above: str, label: str) -> tuple[str, ...]:
    """The names of a level of all concepts with this label above, each once."""
    return tuple(dict.fromkeys(_name(one, level) for one in concepts if not above or _name(one, above) == label))


def _name(concept: Concept, level: str) -> str:
    return {"superordinate": concept.superordinate, "coarse": concept.coarse[0], "fine": concept.fine[0]}[level]
