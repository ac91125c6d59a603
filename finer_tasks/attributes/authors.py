"""The benchmark authors' released attribute files.

Two forms: a list of {"id", "name", "attr_binomial": {"required", "likely"}, "attr_common": {...}},
and the pruned one, a list of {"fine", "required"[, "likely"]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance, is_visible
from finer_tasks.datasets.taxonomy import Concept, slug
from finer_tasks.errors import KnowledgeError
from finer_tasks.metrics.classification import normalize


def read_authors(path: Path, concepts: Iterable[Concept]) -> tuple[list[ConceptAttributes], list[str]]:
    """Entries of a file for the known concepts, and the names of those that match none.

    Names are compared without case and punctuation. Required phrases that cannot be seen are moved
    to the likely ones. Raises KnowledgeError naming the entry that does not fit.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise KnowledgeError(f"{path} is no readable JSON file ({error})") from error
    if not isinstance(raw, list):
        raise KnowledgeError(f"{path}: expected a list of concepts")
    by_name = {normalize(name.replace("_", " ")): c for c in concepts for name in (*c.fine, *c.aliases, c.concept_id)}
    entries: dict[str, ConceptAttributes] = {}
    unknown = []
    for position, item in enumerate(raw, start=1):
        name, required, likely = _fields(path, position, item)
        concept = by_name.get(normalize(name.replace("_", " ")))
        if concept is None:
            unknown.append(name)
            continue
        provenance = Provenance(f"authors: {path.name}")
        entries[concept.concept_id] = tidy(concept.concept_id, concept.fine[0], required, likely, provenance)
    return list(entries.values()), unknown


def _fields(path: Path, position: int, item: Any) -> tuple[str, list[str], list[str]]:
    where = f"{path}: entry {position}"
    if not isinstance(item, dict):
        raise KnowledgeError(f"{where}: expected an object, found {item!r:.80}")
    name = item.get("name", item.get("fine"))
    name = name[0] if isinstance(name, list) and name else name
    lists = item.get("attr_common") or item.get("attr_binomial") or item
    required, likely = (lists.get(key) or [] for key in ("required", "likely")) if isinstance(lists, dict) else ([], [])
    if not isinstance(name, str) or not isinstance(required, list) or not isinstance(likely, list) or not (required or likely):
        raise KnowledgeError(
            f"{where}: needs a name and a list 'required' or 'likely', directly or in attr_common or attr_binomial"
        )
    return name, [str(phrase) for phrase in required], [str(phrase) for phrase in likely]


def tidy(
    concept_id: str, name: str, required: Sequence[str], likely: Sequence[str], provenance: Provenance
) -> ConceptAttributes:
    """An entry from raw lists: spaces and repetitions removed, what cannot be seen made likely."""
    seen: set[str] = set()
    kept: dict[str, list[str]] = {"required": [], "likely": []}
    for kind, phrases in (("required", required), ("likely", likely)):
        for raw in phrases:
            phrase = " ".join(str(raw).split()).strip(" .;,-*")
            if not phrase or phrase.casefold() in seen or slug(phrase) == "none":
                continue
            seen.add(phrase.casefold())
            kept[kind if is_visible(phrase) else "likely"].append(phrase)
    return ConceptAttributes(concept_id, name, tuple(kept["required"]), tuple(kept["likely"]), provenance)
