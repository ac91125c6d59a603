"""Schema, reading and writing of a knowledge base.

One JSON object a line: concept_id, name, required, likely, provenance. Required attributes are
visible, external and discriminative; likely ones may be shared or absent. Relative and invisible
properties (size, weight, sound, behaviour) are no attributes here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from finer_tasks.datasets.lines import read_lines
from finer_tasks.datasets.prepared import data_dir
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import KnowledgeError, at_line
from finer_tasks.parsing import parse_json
from finer_tasks.writing import write_text

_KEYS = {"concept_id", "name", "required", "likely", "provenance"}
# Words for what a picture cannot show. A word that also names something visible counts only in the other sense:
# the bark of a tree, a nest-like cap, an aggressive front grille and "lighter than the back" can be seen.
_INVISIBLE = re.compile(
    r"\b(larger|smaller|bigger|heavier|lighter than an?|weigh\w*|kilograms?|grams?|pounds?|kg|lbs?"
    r"|centimet\w*|millimet\w*|inch(es)?|songs?|calls?|sings?|voice|barking|(loud|shrill|frequent|excessive) barks?"
    r"|behaviou?r\w*|habitat|diet|eats|feeds|migrat\w*|nests|nesting|temperaments?"
    r"|(friendly|loyal|aggressive)(?= (temper|nature|character|disposition|personality|companion|towards?|with|to)\b|$))\b",
    re.IGNORECASE,
)
_PROVENANCE = {"source": str, "model": str, "date": str, "prompt_hash": str, "reviewed": bool}


@dataclass(frozen=True)
class Provenance:
    """Where a concept's attributes come from."""

    source: str
    model: str = ""
    date: str = ""
    prompt_hash: str = ""
    reviewed: bool = False


@dataclass(frozen=True)
class ConceptAttributes:
    """The attributes of one fine concept, as short phrases."""

    concept_id: str
    name: str
    required: tuple[str, ...]
    likely: tuple[str, ...]
    provenance: Provenance = field(default_factory=lambda: Provenance("unknown"))

    def __post_init__(self) -> None:
        """Raise KnowledgeError if a phrase is empty, occurs twice, or is required but cannot be seen."""
        phrases = [*self.required, *self.likely]
        if not self.concept_id or not self.name:
            raise KnowledgeError(f"{self.concept_id or self.name or 'a concept'}: concept_id and name must not be empty")
        if any(not isinstance(phrase, str) or not phrase.strip() for phrase in phrases):
            raise KnowledgeError(f"{self.concept_id}: an attribute is empty or no text")
        folded = Counter(phrase.casefold().strip() for phrase in phrases)
        twice = next((phrase for phrase, count in folded.items() if count > 1), None)
        if twice:
            raise KnowledgeError(f"{self.concept_id}: attribute {twice!r} is listed twice")
        invisible = next((phrase for phrase in self.required if not is_visible(phrase)), None)
        if invisible:
            raise KnowledgeError(
                f"{self.concept_id}: required attribute {invisible!r} is relative or cannot be seen; make it likely"
            )


@dataclass(frozen=True)
class Knowledge:
    """The knowledge base of a dataset, by concept id, with the hash of its content."""

    dataset: str
    concepts: Mapping[str, ConceptAttributes]
    fingerprint: str

    def __getitem__(self, concept_id: str) -> ConceptAttributes:
        try:
            return self.concepts[concept_id]
        except KeyError:
            raise KnowledgeError(
                f"the attributes of {self.dataset} lack concept {concept_id!r}. See `finer attributes check {self.dataset}`"
            ) from None


def is_visible(phrase: str) -> bool:
    """Whether a phrase is not about size, weight, sound or behaviour, by a list of such words."""
    return not _INVISIBLE.search(phrase)


def knowledge_path(dataset: str) -> Path:
    """Where the knowledge base of a dataset lies: FINER_DATA_DIR/attributes/<dataset>.jsonl."""
    return data_dir() / "attributes" / f"{dataset}.jsonl"


def load_knowledge(dataset: str) -> Knowledge:
    """The knowledge base in use; where pictures are drawn by their attributes, it is exact by construction."""
    if get_reader(dataset).exact_attributes:
        return _exact(dataset)
    path = knowledge_path(dataset)
    if not path.exists():
        raise KnowledgeError(
            f"no attributes of {dataset} in {path}. Run: finer attributes import {dataset} FILE, "
            f"or finer attributes build {dataset}"
        )
    return _read_cached(dataset, path, path.stat().st_mtime_ns)


@cache
def _read_cached(dataset: str, path: Path, changed: int) -> Knowledge:
    return read_knowledge(dataset, path)


def read_knowledge(dataset: str, path: Path) -> Knowledge:
    """Read and validate a JSONL file; raises KnowledgeError with file and line."""
    entries: dict[str, ConceptAttributes] = {}
    for number, line in read_lines(path):
        try:
            entry = _entry(parse_json(line))
        except (ValueError, KnowledgeError) as error:
            raise KnowledgeError(at_line(path, number, str(error))) from error
        if entry.concept_id in entries:
            raise KnowledgeError(at_line(path, number, f"concept {entry.concept_id!r} is listed twice"))
        entries[entry.concept_id] = entry
    return Knowledge(dataset, entries, fingerprint_of(entries.values()))


def write_knowledge(path: Path, entries: Iterable[ConceptAttributes]) -> None:
    """Write entries ordered by concept, to a temporary name first."""
    lines = [json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in sorted(entries, key=lambda e: e.concept_id)]
    write_text(path, "".join(lines))


def fingerprint_of(entries: Iterable[ConceptAttributes]) -> str:
    """First 12 hex digits of the hash over all concepts and phrases, provenance left out."""
    content = sorted((entry.concept_id, entry.required, entry.likely) for entry in entries)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _entry(raw: Any) -> ConceptAttributes:
    if not isinstance(raw, dict):
        raise KnowledgeError("expected an object with concept_id, name, required and likely")
    unknown, missing = set(raw) - _KEYS, _KEYS - {"provenance"} - set(raw)
    if unknown or missing:
        problem = f"unknown field {sorted(unknown)[0]!r}" if unknown else f"field {sorted(missing)[0]!r} is missing"
        raise KnowledgeError(f"{problem}; fields are {', '.join(sorted(_KEYS))}")
    for key in ("concept_id", "name"):
        if not isinstance(raw[key], str):
            raise KnowledgeError(f"field {key!r} must be text")
    for key in ("required", "likely"):
        if not isinstance(raw[key], list):
            raise KnowledgeError(f"field {key!r} must be a list of phrases")
    provenance = _provenance(raw.get("provenance") or {"source": "unknown"})
    return ConceptAttributes(raw["concept_id"], raw["name"], tuple(raw["required"]), tuple(raw["likely"]), provenance)


def _provenance(raw: Any) -> Provenance:
    if not isinstance(raw, dict) or "source" not in raw:
        raise KnowledgeError("field 'provenance' must be an object with a source")
    for key, value in raw.items():
        if key not in _PROVENANCE:
            raise KnowledgeError(f"unknown field 'provenance.{key}'; known are {', '.join(_PROVENANCE)}")
        if not isinstance(value, _PROVENANCE[key]):
            raise KnowledgeError(f"field 'provenance.{key}' must be {'text' if _PROVENANCE[key] is str else 'true or false'}")
    return Provenance(**raw)


@cache
def _exact(dataset: str) -> Knowledge:
    reader = get_reader(dataset)
    known = reader.exact_attributes() if reader.exact_attributes else []
    entries = {entry.concept_id: ConceptAttributes(*entry, Provenance(reader.source, reviewed=True)) for entry in known}
    return Knowledge(dataset, entries, fingerprint_of(entries.values()))
