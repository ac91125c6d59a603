"""From a task document to the questions that are put to a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.record import LEVELS, accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.replies import read_reply
from finer_tasks.scoring.classification import exact_match
from finer_tasks.tasks.prompts import Blanks, active_prompt_set, parent_level
from finer_tasks.text import normalize

Doc = Mapping[str, Any]
# Variants whose question tells the concept's attributes.
TELLS_ATTRIBUTES = {"text", "both"}
# Variants that show no image.
SHOWS_NO_IMAGE = {"text", "parent_only", "attributes_text"}
SEEK_STATES = ("empty", "endless", "named")
_MAX_PARENT_LENGTH = 80
# A first turn longer than this, or that repeats a line so often, is cut before it is put back.
_MAX_SEEK_LINES = 40
_MAX_SEEK_CHARACTERS = 4000
_MAX_REPEATS = 3


def ask(doc: Doc, variant: str, level: str, parent: str) -> str:
    """The question of a variant and level. `parent`: gold, none, or gold_joined (all coarse labels, joined by "/")."""
    dataset = dataset_of(doc)
    blanks = Blanks(
        parent="/".join(_told(doc, level, parent)) or None,
        parents=tuple(_labels(doc, name)[0] for name in LEVELS[: LEVELS.index(level)]),
        attributes=load_knowledge(dataset)[doc["concept_id"]].required if variant in TELLS_ATTRIBUTES else (),
        ranks=_ranks(dataset).get(doc["concept_id"], ()) if variant == "text" else (),
        name=doc["fine"][0],
    )
    return active_prompt_set().question(variant, level, load_taxonomy(dataset), blanks)


def with_parent(doc: Doc, level: str, parent: str | None) -> str:
    """The direct question with any label in the parent's place."""
    return active_prompt_set().question("direct", level, load_taxonomy(dataset_of(doc)), Blanks(parent))


def told_parent(variant: str, parent: str) -> str:
    """What a task's question tells of the level above, as `ask` takes it; a predicted parent tells nothing of the labels."""
    return "gold_joined" if variant == "attrseek" else parent if parent == "gold" else "none"


def is_echo(doc: Doc, level: str, parent: str) -> bool:
    """Whether repeating a label that the question told would count as right: it equals or contains an accepted one."""
    accepted = accepted_labels(dict(doc), level)
    return any(exact_match(label, accepted) == 1.0 for label in _told(doc, level, parent))


def _told(doc: Doc, level: str, parent: str) -> list[str]:
    """The gold labels of the level above that a question tells."""
    above = parent_level(level)
    if above is None or parent == "none":
        return []
    return _labels(doc, above) if parent == "gold_joined" else _labels(doc, above)[:1]


def dataset_of(doc: Doc) -> str:
    """The dataset a document belongs to, from its id."""
    return str(doc["id"]).split("/", 1)[0]


def as_parent(reply: str) -> str | None:
    """A model's answer made fit to be named in the next question: one line, no control characters, bounded."""
    first_line = next(iter(read_reply(reply).answer[:10_000].splitlines()), "")
    cleaned = re.sub(r"[\x00-\x1f\x7f\"]", " ", first_line)
    return " ".join(cleaned.split())[:_MAX_PARENT_LENGTH].rstrip(" .") or None


def bounded(reply: str) -> str:
    """A first turn as it is put back into the conversation: without thoughts, and cut if it is endless."""
    text = read_reply(reply).text
    if not _is_endless(text):
        return text.strip() or "(nothing)"
    kept: list[str] = []
    for line in text[:_MAX_SEEK_CHARACTERS].splitlines():
        if line not in kept:
            kept.append(line)
    return "\n".join(kept[:_MAX_SEEK_LINES]).strip() or "(nothing)"


def seek_state(reply: str, labels: Sequence[str]) -> str:
    """What was wrong with a first turn: empty, endless, named (it tells the label already), or nothing ("")."""
    if not reply.strip():
        return "empty"
    if _is_endless(reply):
        return "endless"
    words = f" {normalize(reply)} "
    return "named" if any(f" {normalize(label)} " in words for label in labels if normalize(label)) else ""


def _is_endless(reply: str) -> bool:
    lines = [line.strip() for line in reply.splitlines() if line.strip()]
    repeats = max(Counter(lines).values(), default=0)
    return len(lines) > _MAX_SEEK_LINES or len(reply) > _MAX_SEEK_CHARACTERS or repeats > _MAX_REPEATS


def _labels(doc: Doc, level: str) -> list[str]:
    return [doc["superordinate"]] if level == "superordinate" else list(doc[level])


@cache
def _ranks(dataset: str) -> dict[str, tuple[str, ...]]:
    """Scientific ranks by concept, of datasets that have them."""
    if dataset != "inat":
        return {}
    return {concept.concept_id: concept.ranks for concept in load_prepared(dataset).concepts()}
