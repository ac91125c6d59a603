"""The benchmark authors' released attribute files.

Three forms: a list of {"id", "name"[, "common_name"], "attr_binomial": {"required", "likely"}[, "attr_common": {...}]},
one of {"concept", "required", "likely"}, and the pruned one of {"fine", "required"[, "likely"]}.
The names are accepted labels, so that a family ("Boeing 737") stands beside each of its variants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance, is_visible
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import KnowledgeError, os_error_text
from finer_tasks.parsing import parse_json
from finer_tasks.text import normalize, slug, well_formed

_NAME_FIELDS = ("name", "common_name", "fine", "concept")


@dataclass(frozen=True)
class AuthorsFile:
    """What a file held: entries, names that match no concept, names of several with their ids, names without attributes."""

    entries: tuple[ConceptAttributes, ...]
    unknown: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    empty: tuple[str, ...]


@dataclass(frozen=True)
class _Item:
    names: tuple[str, ...]
    required: list[str]
    likely: list[str]


def read_authors(path: Path, concepts: Iterable[Concept]) -> AuthorsFile:
    """Entries of a file for the known concepts: each has the attributes given under any of its names.

    A name that several concepts bear (a family) goes to all of them; those of a concept's preferred
    label come first. Names are compared without case and punctuation. Required phrases that cannot be
    seen are moved to the likely ones. Raises KnowledgeError naming the entry that does not fit.
    """
    known = list({concept.concept_id: concept for concept in concepts}.values())
    bearers = _bearers(known)
    found: dict[str, list[tuple[int, _Item]]] = defaultdict(list)
    unknown, empty, ambiguous = [], [], {}
    for position, raw in enumerate(_read(path), start=1):
        item = _item(path, position, raw)
        ids = _concepts_of(item.names, bearers)
        if not ids:
            unknown.append(item.names[0])
        elif not (item.required or item.likely):
            empty.append(item.names[0])
        else:
            if len(ids) > 1:
                ambiguous[item.names[0]] = tuple(ids)
            for concept_id, rank in ids.items():
                found[concept_id].append((rank, item))
    entries = [_union(concept, found[concept.concept_id], path) for concept in known if concept.concept_id in found]
    return AuthorsFile(tuple(entries), tuple(unknown), ambiguous, tuple(empty))


def _bearers(concepts: Sequence[Concept]) -> dict[str, dict[str, int]]:
    """By normalised name, the ids of the concepts that bear it, with the place of the name among each concept's names."""
    bearers: dict[str, dict[str, int]] = defaultdict(dict)
    for concept in concepts:
        for rank, name in enumerate((*concept.fine, *concept.aliases, concept.concept_id)):
            bearers[_folded(name)].setdefault(concept.concept_id, rank)
    return bearers


def _concepts_of(names: Iterable[str], bearers: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The concepts that bear all the known ones of the names, or, where none does, any of them."""
    known = [bearers[_folded(name)] for name in names if _folded(name) in bearers]
    shared = set.intersection(*map(set, known)) if known else set()
    return {
        concept_id: rank
        for ranks in reversed(known)
        for concept_id, rank in ranks.items()
        if not shared or concept_id in shared
    }


def _folded(name: str) -> str:
    return normalize(name.replace("_", " "))


def _union(concept: Concept, found: Sequence[tuple[int, _Item]], path: Path) -> ConceptAttributes:
    items = [item for _, item in sorted(found, key=lambda pair: (pair[0], pair[1].names))]
    required = [phrase for item in items for phrase in item.required]
    likely = [phrase for item in items for phrase in item.likely]
    return tidy(concept.concept_id, concept.fine[0], required, likely, Provenance(f"authors: {path.name}"))


def _read(path: Path) -> list[Any]:
    try:
        raw = parse_json(path.read_text(encoding="utf-8-sig"), allow_nan=True)
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read: {os_error_text(error)}") from error
    except ValueError as error:
        raise KnowledgeError(f"{path} is no readable JSON file in UTF-8 ({error})") from error
    if not isinstance(raw, list):
        raise KnowledgeError(f"{path}: expected a list of concepts")
    return raw


def _item(path: Path, position: int, raw: Any) -> _Item:
    where = f"{path}: entry {position}"
    if not isinstance(raw, dict):
        raise KnowledgeError(f"{where}: expected an object, found {raw!r:.80}")
    names: list[Any] = []
    for field in _NAME_FIELDS:
        value = raw.get(field) or []
        names += value if isinstance(value, list) else [value]
    candidates = [raw[key] for key in ("attr_common", "attr_binomial") if key in raw] or [raw]
    lists = [_lists(candidate) for candidate in candidates]
    if not names or not all(isinstance(name, str) for name in names) or None in lists:
        raise KnowledgeError(
            f"{where}: needs a name and a list 'required' or 'likely', directly or in attr_common or attr_binomial"
        )
    required, likely = next((pair for pair in lists if pair and any(pair)), ([], []))
    return _Item(tuple(names), required, likely)


def _lists(raw: Any) -> tuple[list[str], list[str]] | None:
    """(required, likely) of an object, None if it has no such lists."""
    if not isinstance(raw, dict) or not {"required", "likely"} & set(raw):
        return None
    required, likely = raw.get("required") or [], raw.get("likely") or []
    both = (required, likely)
    if not all(isinstance(phrases, list) and all(isinstance(phrase, str) for phrase in phrases) for phrases in both):
        return None
    return both


def tidy(
    concept_id: str, name: str, required: Sequence[str], likely: Sequence[str], provenance: Provenance
) -> ConceptAttributes:
    """An entry from raw lists: spaces and repetitions removed, what cannot be seen made likely."""
    seen: set[str] = set()
    kept: dict[str, list[str]] = {"required": [], "likely": []}
    for kind, phrases in (("required", required), ("likely", likely)):
        for raw in phrases:
            phrase = " ".join(well_formed(raw).split()).strip(" .;,-*")
            if not phrase or phrase.casefold() in seen or slug(phrase) == "none":
                continue
            seen.add(phrase.casefold())
            kept[kind if is_visible(phrase) else "likely"].append(phrase)
    return ConceptAttributes(concept_id, name, tuple(kept["required"]), tuple(kept["likely"]), provenance)
