"""Bringing entries into the knowledge base in use without losing what was reviewed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.attributes.knowledge import ConceptAttributes, read_knowledge, write_knowledge
from finer_tasks.errors import KnowledgeError


@dataclass(frozen=True)
class Update:
    """Counts of entries: all that are there now, new ones, replaced ones, older ones, and reviewed ones kept from new ones."""

    total: int
    added: int
    replaced: int
    kept: int
    reviewed: int


def update_knowledge(path: Path, dataset: str, entries: Iterable[ConceptAttributes], overwrite: bool = False) -> Update:
    """Merge entries into a knowledge base: concepts without a new entry keep the old one.

    A reviewed entry gives way only to a reviewed one, and no entry to one without attributes, unless
    `overwrite`, which replaces the whole file. Raises KnowledgeError if no entry has attributes.
    """
    fresh = {entry.concept_id: entry for entry in entries if entry.required or entry.likely}
    if not fresh:
        raise KnowledgeError(f"there are no attributes to write; {path} is unchanged")
    old = {} if overwrite or not path.exists() else dict(read_knowledge(dataset, path).concepts)
    reviewed = {
        concept_id
        for concept_id, entry in fresh.items()
        if concept_id in old and old[concept_id].provenance.reviewed and not entry.provenance.reviewed
    }
    brought = {concept_id: entry for concept_id, entry in fresh.items() if concept_id not in reviewed}
    merged = old | brought
    write_knowledge(path, merged.values())
    added = len(set(brought) - set(old))
    return Update(len(merged), added, len(brought) - added, len(set(old) - set(brought)), len(reviewed))
