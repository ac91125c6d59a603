"""Looking at knowledge bases: coverage, discriminative attributes, differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finer_tasks.attributes.knowledge import ConceptAttributes, Knowledge
from finer_tasks.datasets.concepts import sibling_groups
from finer_tasks.datasets.record import Concept


@dataclass(frozen=True)
class Check:
    """What a check of a knowledge base found."""

    concepts: int
    covered: int
    missing: tuple[str, ...]
    without_required: tuple[str, ...]
    shared_by_all_siblings: Mapping[str, tuple[str, ...]]
    indistinguishable: tuple[tuple[str, str], ...]


def check(knowledge: Knowledge, concepts: Iterable[Concept]) -> Check:
    """Coverage, concepts without required attributes, required attributes that do not discriminate, and equal siblings."""
    groups = sibling_groups(concepts)
    everyone = {concept_id for members in groups.values() for concept_id in members}
    known = {concept_id: knowledge.concepts[concept_id] for concept_id in everyone if concept_id in knowledge.concepts}
    equal = []
    for members in groups.values():
        listed = sorted(member for member in members if member in known and known[member].required)
        for index, one in enumerate(listed):
            equal += [(one, other) for other in listed[index + 1 :] if _same(known[one], known[other])]
    return Check(
        concepts=len(everyone),
        covered=len(known),
        missing=tuple(sorted(everyone - set(known))),
        without_required=tuple(sorted(i for i, entry in known.items() if not entry.required)),
        shared_by_all_siblings=shared_attributes(known, groups),
        indistinguishable=tuple(equal),
    )


def shared_attributes(
    entries: Mapping[str, ConceptAttributes], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """By coarse label, the required attributes that all (two or more) siblings list: true, but not discriminative."""
    shared = {}
    for coarse, members in groups.items():
        lists = [{phrase.casefold() for phrase in entries[m].required} for m in members if m in entries]
        if len(lists) > 1 and (common := set.intersection(*lists)):
            shared[coarse] = tuple(sorted(common))
    return shared


def differences(one: Knowledge, other: Knowledge) -> dict[str, dict[str, list[str]]]:
    """By concept, the phrases that only one of two knowledge bases has ("-" the first, "+" the second)."""
    found = {}
    for concept_id in sorted({*one.concepts, *other.concepts}):
        a, b = _phrases(one, concept_id), _phrases(other, concept_id)
        if a != b:
            found[concept_id] = {"-": sorted(a - b), "+": sorted(b - a)}
    return found


def _phrases(knowledge: Knowledge, concept_id: str) -> set[str]:
    entry = knowledge.concepts.get(concept_id)
    if entry is None:
        return set()
    return {f"required: {phrase}" for phrase in entry.required} | {f"likely: {phrase}" for phrase in entry.likely}


def _same(one: ConceptAttributes, other: ConceptAttributes) -> bool:
    return {p.casefold() for p in one.required} == {p.casefold() for p in other.required}
