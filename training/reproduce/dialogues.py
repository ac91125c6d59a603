"""Texts and questions from which the tiny LLaVA of the miniature learns, stage by stage.

The language model reads descriptions in words where later an image stands, so that it knows every
concept by its attributes; of images it is then told the coarse label only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.mini.reader import MiniConcept
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.tasks.prompts import Blanks, active_prompt_set
from finer_tasks.training.mixture.conversations import as_prose
from finer_tasks.training.mixture.templates import SLOTS, load_templates
from finer_tasks.training.tiny_llava.dialogues import WITHOUT_IMAGE, Dialogue, benchmark_turns

# How often each way of asking occurs in the language stage.
WAYS = {"direct": 4, "text": 3, "attrseek": 2, "both": 1, "attributes": 1, "attributes_text": 1, "mixture": 3}


def concepts_by_id() -> dict[str, MiniConcept]:
    """The drawable concepts by id."""
    return {concept.concept.concept_id: concept for concept in mini.mini_concepts()}


def describe(concept: MiniConcept, rng: random.Random) -> str:
    """All that can be seen of a concept, in words and random order."""
    seen = [f"{concept.shape} outline", *(mini.phrase(part, value) for part, value in concept.parts.items())]
    rng.shuffle(seen)
    return f"Seen: {', '.join(seen)}."


def language_dialogue(concept: MiniConcept, rng: random.Random) -> Dialogue:
    """A dialogue without image about a concept, a description in the image's place where the question needs one."""
    way = rng.choices(list(WAYS), weights=list(WAYS.values()))[0]
    turns = _mixture_turns(concept, rng) if way == "mixture" else _benchmark_turns(concept, way, rng)
    if way not in WITHOUT_IMAGE:
        (question, answer), *others = turns
        turns = [(f"{describe(concept, rng)}\n{question}", answer), *others]
    return Dialogue(tuple(turns), has_image=False)


def coarse_dialogue(record: FinerRecord, rng: random.Random) -> Dialogue:
    """What an image shows at coarse or superordinate level: all that the projector is taught."""
    labels = {"superordinate": record.superordinate, "coarse": record.coarse[0]}
    if rng.random() < 0.4:
        return Dialogue(((_say("coarse_question", record, rng), record.coarse[0]),), has_image=True)
    level = rng.choice(("superordinate", "coarse", "coarse"))
    parent = record.superordinate if level == "coarse" and rng.random() < 0.7 else None
    question = active_prompt_set().question("direct", level, load_taxonomy("mini"), Blanks(parent))
    return Dialogue(((question, f"Answer: {labels[level]}"),), has_image=True)


def vocabulary_texts(records: list[FinerRecord]) -> list[str]:
    """Everything the tokenizer should know: the dialogues, and every template."""
    rng = random.Random(0)
    concepts = concepts_by_id()
    texts = [part for record in records for turn in language_dialogue(concepts[record.concept_id], rng).turns for part in turn]
    return texts + [template for slot in SLOTS for template in load_templates()[slot]] * 20


def _benchmark_turns(concept: MiniConcept, way: str, rng: random.Random) -> list[tuple[str, str]]:
    levels = ("superordinate", "coarse", "fine", "fine") if way == "direct" else ("coarse", "fine", "fine")
    return benchmark_turns(concept.concept, way, rng.choice(levels), rng)


def _mixture_turns(concept: MiniConcept, rng: random.Random) -> list[tuple[str, str]]:
    lists = load_knowledge("mini")[concept.concept.concept_id]
    entry = concept.concept
    values = _blanks(entry.coarse[0], as_prose(lists.required))

    def say(slot: str) -> str:
        return rng.choice(load_templates()[slot]).format(**values)

    whole = [
        (say("coarse_question"), entry.coarse[0]),
        (say("attributes_question"), say("attributes_answer")),
        (say("fine_question"), entry.fine[0]),
    ]
    return rng.choice((whole, whole[:2], [(say("direct_question"), entry.fine[0])]))


def _say(slot: str, record: FinerRecord, rng: random.Random) -> str:
    return rng.choice(load_templates()[slot]).format(**_blanks(record.coarse[0], ""))


def _blanks(coarse: str, attributes: str) -> Mapping[str, str]:
    taxonomy = load_taxonomy("mini")
    return {
        "noun": taxonomy.noun,
        "coarse_term": taxonomy.coarse_term,
        "fine_term": taxonomy.fine_term,
        "coarse": coarse,
        "attributes": attributes,
    }
