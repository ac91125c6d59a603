"""Attributes from what others made: a JSONL knowledge base, the authors' files, or a dataset's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.attributes.authors import read_authors
from finer_tasks.attributes.cub_human import read_cub_human
from finer_tasks.attributes.knowledge import ConceptAttributes, read_knowledge
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.errors import KnowledgeError

# Datasets whose folder holds attributes that people gave.
_OF_FOLDERS: Mapping[str, Callable[[Path, float, float], list[ConceptAttributes]]] = {"cub": read_cub_human}
_SHOWN = 10


@dataclass(frozen=True)
class Source:
    """Entries for concepts of the dataset, and what else the source held, in words."""

    entries: tuple[ConceptAttributes, ...]
    notes: tuple[str, ...] = ()


def read_source(dataset: str, path: Path, required_from: float, likely_from: float) -> Source:
    """What a file or folder holds for a dataset; raises KnowledgeError.

    The shares, in percent of a class's images, are for folders: from which an attribute is required or likely.
    """
    if path.is_dir():
        if dataset not in _OF_FOLDERS:
            raise KnowledgeError(f"{path} is a folder; only the human attributes of {', '.join(_OF_FOLDERS)} are read from one")
        return Source(tuple(_OF_FOLDERS[dataset](path, required_from, likely_from)))
    concepts = concepts_of(dataset)
    if path.suffix == ".jsonl":
        entries = read_knowledge(dataset, path).concepts
        unknown = [concept_id for concept_id in entries if concept_id not in concepts.by_id]
        kept = tuple(entry for entry in entries.values() if entry.concept_id in concepts.by_id)
        return Source(kept, _noted(f"are no concepts of {dataset}", unknown))
    found = read_authors(path, concepts)
    shared = [f"{name} ({', '.join(ids)})" for name, ids in found.ambiguous.items()]
    notes = (
        *_noted(f"match no concept of {dataset}", found.unknown),
        *_noted("have no attributes and are left out", found.empty),
        *_noted("are borne by several concepts and given to each", shared),
    )
    return Source(found.entries, notes)


def _noted(what: str, names: Sequence[str]) -> tuple[str, ...]:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (f"{what} ({len(names)} names): {', '.join(names[:_SHOWN])}{more}",) if names else ()
