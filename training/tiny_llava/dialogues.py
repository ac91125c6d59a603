"""The benchmark's questions about a concept with their true answers, as turns of a dialogue."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.record import Concept, FinerRecord, parent_level
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.tasks.prompts import Blanks, active_prompt_set

# How often each way of asking occurs, each level of the direct one, and how often its parent is left out.
VARIANT_WEIGHTS = {
    "direct": 8, "text": 3, "both": 2, "attrseek": 3, "attrseek1": 2, "cot": 2, "attributes": 2, "attributes_text": 1,
}  # fmt: skip
WITHOUT_IMAGE = {"text", "attributes_text"}
LEVEL_WEIGHTS = {"superordinate": 2, "coarse": 2, "fine": 6}
NO_PARENT_SHARE = 0.3


@dataclass(frozen=True)
class Dialogue:
    """A training example: question and answer by turn, with the image in the first turn or without."""

    turns: tuple[tuple[str, str], ...]
    has_image: bool


def make_dialogue(record: FinerRecord, rng: random.Random) -> Dialogue:
    """One of the benchmark's ways of asking about the record, drawn from rng, with its true answer."""
    variant = rng.choices(list(VARIANT_WEIGHTS), weights=list(VARIANT_WEIGHTS.values()))[0]
    levels = LEVEL_WEIGHTS if variant == "direct" else {"coarse": 1, "fine": 3}
    level = rng.choices(list(levels), weights=list(levels.values()))[0]
    return Dialogue(tuple(benchmark_turns(record, variant, level, rng)), has_image=variant not in WITHOUT_IMAGE)


def benchmark_turns(
    concept: Concept | FinerRecord, variant: str, level: str, rng: random.Random, dataset: str = "mini"
) -> list[tuple[str, str]]:
    """Question and true answer by turn; rng draws whether a direct question names the parent."""
    labels = {"superordinate": concept.superordinate, "coarse": concept.coarse[0], "fine": concept.fine[0]}
    lists = load_knowledge(dataset)[concept.concept_id]
    above = parent_level(level)
    blanks = Blanks(
        parent=None if above is None or (variant == "direct" and rng.random() < NO_PARENT_SHARE) else labels[above],
        parents=(concept.superordinate, concept.coarse[0]) if level == "fine" else (concept.superordinate,),
        attributes=lists.required,
        name=concept.fine[0],
    )

    def ask(template: str, at: str = level) -> str:
        return active_prompt_set().question(template, at, load_taxonomy(dataset), blanks)

    name = f"Answer: {labels[level]}"
    seen = bullets((*lists.required, *lists.likely))
    if variant == "attrseek":
        return [(ask("attrseek_seek"), seen), (ask("attrseek_answer"), name)]
    if variant == "attrseek1":
        return [(ask("attrseek1"), f"{seen}\n{name}")]
    if variant == "cot":
        return [(ask("cot"), f"It has {', '.join(lists.required)}. {name}")]
    if variant in ("attributes", "attributes_text"):
        return [(ask(variant, "fine"), f"Required:\n{bullets(lists.required)}\nLikely:\n{bullets(lists.likely)}")]
    return [(ask(variant), name)]


def bullets(phrases: Sequence[str]) -> str:
    """One phrase a line, or "- none"."""
    return "\n".join(f"- {phrase}" for phrase in phrases) or "- none"


def dialogue_texts(records: Sequence[FinerRecord]) -> list[str]:
    """The texts of one dialogue a record, for training a tokenizer."""
    rng = random.Random(0)
    return [" ".join(part for turn in make_dialogue(record, rng).turns for part in turn) for record in records]
