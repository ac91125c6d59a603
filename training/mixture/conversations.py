"""From a record to a conversation in the LLaVA format."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finer_tasks.attributes.knowledge import ConceptAttributes
from finer_tasks.datasets.record import concept_key, dataset_of
from finer_tasks.datasets.taxonomy import Taxonomy
from finer_tasks.training.mixture.templates import load_templates

if TYPE_CHECKING:
    from finer_tasks.training.mixture.recipe import MixtureRecipe

FEW = 3
IMAGE = "<image>"


@dataclass(frozen=True)
class Entry:
    """One conversation, which template each turn took (slot/number), and what it is about (concept: dataset/concept_id)."""

    row: Mapping[str, Any]
    templates: tuple[str, ...]
    concept: str
    superordinate: str


def make_entry(recipe: MixtureRecipe, doc: Mapping[str, Any], taxonomy: Taxonomy, lists: ConceptAttributes) -> Entry:
    """The conversation of a record; the same recipe and record always give the same one."""
    rng = random.Random(f"{recipe.seed}/{doc['id']}")
    blanks = blanks_of(taxonomy, doc["coarse"][0], as_prose(chosen_attributes(recipe.detail, lists, rng)))
    used: list[str] = []

    def say(slot: str) -> str:
        number = rng.randrange(len(load_templates()[slot]))
        used.append(f"{slot}/{number}")
        return load_templates()[slot][number].format(**blanks)

    if recipe.style == "direct":
        turns = [(say("direct_question"), doc["fine"][0])]
    else:
        turns = [(say("coarse_question"), doc["coarse"][0]), (say("attributes_question"), say("attributes_answer"))]
        if recipe.style == "finer":
            turns.append((say("fine_question"), doc["fine"][0]))
    first, answer = turns[0]
    turns[0] = (f"{IMAGE}\n{first}" if rng.random() < 0.5 else f"{first}\n{IMAGE}", answer)
    dataset = dataset_of(doc["id"])
    row = {
        "id": doc["id"],
        "image": f"{dataset}/{doc['image']}",
        "source": f"{dataset}/{recipe.style}",
        "conversations": [
            {"from": speaker, "value": value} for turn in turns for speaker, value in zip(("human", "gpt"), turn, strict=True)
        ],
    }
    return Entry(row, tuple(used), concept_key(dataset, doc["concept_id"]), doc["superordinate"])


def blanks_of(taxonomy: Taxonomy, coarse: str, attributes: str) -> dict[str, str]:
    """What fills the templates."""
    return {
        "noun": taxonomy.noun,
        "coarse_term": taxonomy.coarse_term,
        "fine_term": taxonomy.fine_term,
        "coarse": coarse,
        "attributes": attributes,
    }


def chosen_attributes(detail: str, lists: ConceptAttributes, rng: random.Random) -> tuple[str, ...]:
    """The attributes told at a level of detail; "few" takes three of the required ones in their order."""
    if detail == "few":
        kept = sorted(rng.sample(range(len(lists.required)), min(FEW, len(lists.required))))
        return tuple(lists.required[index] for index in kept)
    return lists.required if detail == "required" else (*lists.required, *lists.likely)


def as_prose(phrases: Sequence[str]) -> str:
    """Phrases joined by commas and "and": "a, b and c"."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else "".join(phrases)
