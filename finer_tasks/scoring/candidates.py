"""The names from which a closed set is made: every concept of a level with the labels that the benchmark accepts for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from finer_tasks.datasets.concepts import Concepts, concepts_of
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.replies import MARKER
from finer_tasks.statistics.clusters import Floats, Integers

# What a name is scored as, right behind the prompt: an answer of the form that every question asks for.
LEAD = f"{MARKER} "
# The generation argument of a request that asks for the scores of all names of "dataset/level".
CANDIDATES = "candidates"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The concepts of a level and their names. Compared by identity, so that what is made of them can be kept.

    Attributes:
        keys: the concepts: ids at fine level, first labels above.
        names: all names, each once.
        members: places in `names` of each concept's names, one concept after another.
        starts: where each concept begins in `members`.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    members: Integers = field(repr=False)
    starts: Integers = field(repr=False)

    @classmethod
    def of(cls, labels: Mapping[str, Sequence[str]]) -> Candidates:
        """The candidates of concepts with their labels.

        A label that several concepts share (a family of airplanes) tells none of them from the others; it counts only
        for a concept that has no other.
        """
        shared = Counter(name for names in labels.values() for name in set(names))
        kept = {key: [name for name in names if shared[name] == 1] or list(names) for key, names in labels.items()}
        places = {name: place for place, name in enumerate(dict.fromkeys(name for names in kept.values() for name in names))}
        members = [[places[name] for name in dict.fromkeys(names)] for names in kept.values()]
        starts = np.cumsum([0, *map(len, members)])[:-1]
        return cls(tuple(kept), tuple(places), np.array([place for one in members for place in one]), starts)

    def best(self, scores: Floats) -> Floats:
        """The score of each concept, which is that of its best name."""
        best: Floats = np.maximum.reduceat(scores[self.members], self.starts)
        return best


def candidates_of(dataset: str, level: str) -> Candidates:
    """The closed set of a level.

    At superordinate level, the categories that the question offers; at coarse level the first labels of all concepts. Raises
    NotPreparedError where only the prepared data know the concepts.
    """
    return _candidates(dataset, level, concepts_of(dataset))


@cache
def _candidates(dataset: str, level: str, concepts: Concepts) -> Candidates:
    labels: dict[str, dict[str, None]] = {}
    if level == "superordinate":
        labels = {name: {name: None} for name in load_taxonomy(dataset).superordinate_choices}
    for concept in concepts:
        names = {"superordinate": (concept.superordinate,), "coarse": concept.coarse, "fine": concept.fine}[level]
        labels.setdefault(concept.concept_id if level == "fine" else names[0], {}).update(dict.fromkeys(names))
    return Candidates.of({key: tuple(names) for key, names in labels.items()})
