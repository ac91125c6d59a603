"""What is known of the same documents at every stage on the way from the image to the name; typed, and without files.

A stage is right about a document where it gives the document's own concept. Whether that means anything is seen from the
others: how often does it give this concept to documents that show another one?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from finer_tasks.statistics.clusters import Clusters, Floats, Integers

# In the order in which the image passes them. The first three are probes.
PROBED = ("encoder", "projector", "language")
STAGES = (*PROBED, "closed", "open")
NO_CHOICES: Mapping[str, int] = {}


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage makes of the documents.

    Attributes:
        hits: whether it is right, by document, shape (documents,).
        alarms: how many of the `others` it gives each concept, shape (concepts,).
        others: how many documents show another concept that it could be mistaken for, shape (concepts,).
        choices: how many concepts there are to choose from, itself among them, in the documents or not, shape (concepts,).
        source: what was measured, in words.
    """

    hits: Floats
    alarms: Integers
    others: Integers
    choices: Integers
    source: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that is known at one level of a dataset.

    Attributes:
        ids: the documents.
        concepts: the documents by concept: concept ids at fine level, labels above.
        names: what each concept is called.
        stages: those of STAGES that were measured.
        equal_width: hits of the probes whose features have the same width at every place.
        shuffled: the probes fitted to shuffled labels.
        text: naming from the attributes in words, without image; None where that was not asked.
        attributes: mean attr_f1 of the attributes that the model lists, by concept; None where that was not asked.
        told: the level whose label the questions tell, so that a name may be guessed from it; empty where they tell none.
    """

    dataset: str
    level: str
    ids: tuple[str, ...]
    concepts: Clusters
    names: tuple[str, ...]
    stages: Mapping[str, Stage]
    equal_width: Mapping[str, Floats] = field(default_factory=dict)
    shuffled: Mapping[str, Stage] = field(default_factory=dict)
    text: Stage | None = None
    attributes: Floats | None = None
    told: str = ""
    notes: tuple[str, ...] = ()


def stage_of(
    concepts: Clusters, said: Sequence[str], told: Sequence[str], source: str, choices: Mapping[str, int] = NO_CHOICES
) -> Stage:
    """The stage that gives each document one concept; mistakes are those among the documents that are told the same.

    choices: how many concepts fit what is told, where there are more than the documents show.
    """
    names = np.array(concepts.names)[concepts.index]
    given: dict[tuple[str, str], int] = defaultdict(int)
    for parent, concept in zip(told, said, strict=True):
        given[parent, concept] += 1
    hits = (np.array(said) == names).astype(float)
    right = concepts.sums(hits).astype(int)
    parents = parents_of(concepts, told)
    totals = np.array([given[parent, name] for parent, name in zip(parents, concepts.names, strict=True)])
    return Stage(hits, totals - right, *_field_of(concepts, parents, choices), source)


def answered(
    concepts: Clusters,
    hits: Floats,
    answers: Sequence[str],
    told: Sequence[str],
    names: Callable[[str, int], bool],
    source: str,
    choices: Mapping[str, int] = NO_CHOICES,
) -> Stage:
    """The stage that answers in words; `names` says whether an answer would be right for a concept, given by its number."""
    counted: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for parent, answer, own in zip(told, answers, concepts.index.tolist(), strict=True):
        counted[parent, answer][own] += 1
    members: dict[str, list[int]] = defaultdict(list)
    parents = parents_of(concepts, told)
    for number, parent in enumerate(parents):
        members[parent].append(number)
    alarms = np.zeros(len(concepts), dtype=int)
    for (parent, answer), by_concept in counted.items():
        documents = sum(by_concept.values())
        for number in members[parent]:
            if names(answer, number):
                alarms[number] += documents - by_concept.get(number, 0)
    return Stage(hits, alarms, *_field_of(concepts, parents, choices), source)


def parents_of(concepts: Clusters, told: Sequence[str]) -> list[str]:
    """What the documents of each concept are told, by that of its first."""
    first = np.unique(concepts.index, return_index=True)[1]
    return [told[place] for place in first]


def _field_of(concepts: Clusters, parents: Sequence[str], choices: Mapping[str, int]) -> tuple[Integers, Integers]:
    """How many documents of other concepts are told the same, and among how many concepts there is to choose."""
    groups = Clusters.of(parents)
    documents = np.rint(groups.sums(concepts.sizes.astype(float))).astype(int)
    others: Integers = documents[groups.index] - concepts.sizes
    known = np.array([choices.get(parent, 0) for parent in groups.names])
    return others, np.maximum(groups.sizes, known)[groups.index]
