"""From a task document to the questions that are put to a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.record import LEVELS, dataset_of, labels_at
from finer_tasks.datasets.registry import get_reader
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.options.choosing import active_names
from finer_tasks.options.settings import active_setting
from finer_tasks.replies import read_reply
from finer_tasks.scoring.abstaining import offered_names
from finer_tasks.scoring.echo import told_labels
from finer_tasks.scoring.seeking import MAX_CHARACTERS, MAX_LINES, is_endless
from finer_tasks.scoring.yesno import claims_of
from finer_tasks.tasks.prompts import Blanks, active_prompt_set, prompt_set_for
from finer_tasks.tasks.table import ASKS, OFFERS_OPTIONS, TELLS_ATTRIBUTES

Doc = Mapping[str, Any]
_MAX_PARENT_LENGTH = 80
# Variants that offer names, and those that they offer for a document and level.
_OPTIONS: Mapping[str, Callable[[Doc, str], tuple[str, ...]]] = {
    "abstain_names": offered_names,
    **dict.fromkeys(OFFERS_OPTIONS, active_names),
}


def ask(doc: Doc, variant: str, level: str, parent: str, claim: str = "") -> str:
    """The question of a variant and level.

    `parent`: gold, none, or gold_joined (all coarse labels, joined by "/"). `claim`: the name that it asks to confirm, if any.
    """
    dataset = dataset_of(doc["id"])
    blanks = Blanks(
        parent="/".join(told_labels(doc, level, parent)) or None,
        parents=tuple(labels_at(doc, name)[0] for name in LEVELS[: LEVELS.index(level)]),
        attributes=load_knowledge(dataset)[doc["concept_id"]].required if variant in TELLS_ATTRIBUTES else (),
        ranks=_ranks(dataset, doc["concept_id"]) if variant == "text" else (),
        name=doc["fine"][0],
        options=_OPTIONS[variant](doc, level) if variant in _OPTIONS else (),
        claim=claim,
    )
    asked = asked_by(variant)
    return prompt_set_for(asked, level).question(asked, level, load_taxonomy(dataset), blanks)


def asked_by(variant: str) -> str:
    """Whose question of prompt sets a way of asking puts; where options are offered, FINER_CHOICES has a say in it."""
    return active_setting().variant if variant in OFFERS_OPTIONS else ASKS.get(variant, variant)


def with_parent(doc: Doc, level: str, parent: str | None) -> str:
    """The direct question with any label in the parent's place."""
    return active_prompt_set().question("direct", level, load_taxonomy(dataset_of(doc["id"])), Blanks(parent))


def next_in_chain(doc: Doc, level: str, replies: Sequence[str]) -> str | None:
    """The questions from superordinate down to a level, each naming the reply to the one before; None when they are over.

    Each is the same question as the direct one but for the parent.
    """
    levels = LEVELS[: LEVELS.index(level) + 1]
    if not replies:
        return ask(doc, "direct", levels[0], "none")
    return None if _is_over(replies, len(levels)) else with_parent(doc, levels[len(replies)], as_parent(replies[-1]))


def next_claim(doc: Doc, level: str, replies: Sequence[str]) -> str | None:
    """The question whether it is the true name, then whether it is a wrong one; None when they are over."""
    claims = claims_of(doc, level)
    if _is_over(replies, 2):
        return None
    return ask(doc, "yesno", level, "none", claims.false if replies else claims.true)


def seek_turns(doc: Doc, level: str, replies: Sequence[str]) -> tuple[str, ...] | None:
    """The turns of AttrSeek up to the next question: that for the attributes, then the reply, then that for the name.

    None when they are over.
    """
    seek = ask(doc, "attrseek_seek", level, "gold_joined")
    if not replies:
        return (seek,)
    return None if _is_over(replies, 2) else (seek, bounded(replies[0]), ask(doc, "attrseek_answer", level, "gold_joined"))


def _is_over(replies: Sequence[str], rounds: int) -> bool:
    return len(replies) >= rounds or bool(replies and read_reply(replies[-1]).state == "failed")


def as_parent(reply: str) -> str | None:
    """A model's answer made fit to be named in the next question: one line, no control characters, bounded."""
    first_line = next(iter(read_reply(reply).answer[:10_000].splitlines()), "")
    cleaned = re.sub(r"[\x00-\x1f\x7f\"]", " ", first_line)
    return " ".join(cleaned.split())[:_MAX_PARENT_LENGTH].rstrip(" .") or None


def bounded(reply: str) -> str:
    """A first turn as it is put back into the conversation: without thoughts, and cut if it is endless."""
    text = read_reply(reply).text
    if not is_endless(text):
        return text.strip() or "(nothing)"
    kept: list[str] = []
    for line in text[:MAX_CHARACTERS].splitlines():
        if line not in kept:
            kept.append(line)
    return "\n".join(kept[:MAX_LINES]).strip() or "(nothing)"


def _ranks(dataset: str, concept_id: str) -> tuple[str, ...]:
    """Scientific ranks of a concept, where the dataset has them."""
    concept = concepts_of(dataset).by_id.get(concept_id) if get_reader(dataset).has_ranks else None
    return concept.ranks if concept else ()
