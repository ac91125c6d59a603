"""Texts and questions from which the language model and the projector of a reproduction learn.

The language model reads descriptions in words where later an image stands, so that it knows every
concept by its attributes; of images it is then told the superordinate and coarse labels only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.attributes.knowledge import ConceptAttributes, load_knowledge
from finer_tasks.datasets.record import Concept, dataset_of
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.tasks.prompts import Blanks, active_prompt_set
from finer_tasks.training.mixture.conversations import as_prose, blanks_of
from finer_tasks.training.mixture.templates import SLOTS, load_templates
from finer_tasks.training.reproduce.partition import concepts_with_images
from finer_tasks.training.tiny_llava.dialogues import WITHOUT_IMAGE, Dialogue, benchmark_turns

# How often each way of asking occurs in the language stage.
WAYS = {"direct": 4, "text": 3, "attrseek": 2, "both": 1, "attributes": 1, "attributes_text": 1, "mixture": 3}
_SAMPLES = 40


@dataclass(frozen=True)
class Subject:
    """A concept of a dataset, with what is known of its looks."""

    dataset: str
    concept: Concept
    lists: ConceptAttributes


def subjects_of(datasets: Sequence[str]) -> list[Subject]:
    """Every concept that has images, held out later or not; raises KnowledgeError for one without attributes."""
    return [
        Subject(dataset, concept, load_knowledge(dataset)[concept.concept_id])
        for dataset in datasets
        for concept in concepts_with_images(dataset)
    ]


def describe(lists: ConceptAttributes, told: float, rng: random.Random) -> str:
    """A share of a concept's attributes, drawn between `told` and all, in random order."""
    seen = [*lists.required, *lists.likely]
    rng.shuffle(seen)
    return f"Seen: {', '.join(seen[: math.ceil(rng.uniform(told, 1) * len(seen))])}."


def language_dialogue(subject: Subject, told: float, rng: random.Random) -> Dialogue:
    """A dialogue without image about a concept, a description in the image's place where the question needs one."""
    way = rng.choices(list(WAYS), weights=list(WAYS.values()))[0]
    turns = _mixture_turns(subject, rng) if way == "mixture" else _benchmark_turns(subject, way, rng)
    if way not in WITHOUT_IMAGE:
        (question, answer), *others = turns
        turns = [(f"{describe(subject.lists, told, rng)}\n{question}", answer), *others]
    return Dialogue(tuple(turns), has_image=False)


def coarse_dialogue(document: Mapping[str, Any], rng: random.Random) -> Dialogue:
    """What an image shows at coarse or superordinate level: all that the projector is taught."""
    dataset, coarse = dataset_of(document["id"]), document["coarse"][0]
    if rng.random() < 0.4:
        question = rng.choice(load_templates()["coarse_question"]).format(**blanks_of(load_taxonomy(dataset), coarse, ""))
        return Dialogue(((question, coarse),), has_image=True)
    level = rng.choice(("superordinate", "coarse", "coarse"))
    parent = document["superordinate"] if level == "coarse" and rng.random() < 0.7 else None
    question = active_prompt_set().question("direct", level, load_taxonomy(dataset), Blanks(parent))
    label = coarse if level == "coarse" else document["superordinate"]
    return Dialogue(((question, f"Answer: {label}"),), has_image=True)


def vocabulary_texts(subjects: Sequence[Subject], told: float) -> list[str]:
    """Everything the tokenizer should know: the dialogues of each concept, and every template."""
    rng = random.Random(0)
    dialogues = (language_dialogue(subject, told, rng) for subject in subjects for _ in range(_SAMPLES))
    texts = [part for dialogue in dialogues for turn in dialogue.turns for part in turn]
    return texts + [template for slot in SLOTS for template in load_templates()[slot]] * 20


def _benchmark_turns(subject: Subject, way: str, rng: random.Random) -> list[tuple[str, str]]:
    levels = ("superordinate", "coarse", "fine", "fine") if way == "direct" else ("coarse", "fine", "fine")
    return benchmark_turns(subject.concept, way, rng.choice(levels), rng, subject.dataset)


def _mixture_turns(subject: Subject, rng: random.Random) -> list[tuple[str, str]]:
    entry = subject.concept
    values = blanks_of(load_taxonomy(subject.dataset), entry.coarse[0], as_prose(subject.lists.required))

    def say(slot: str) -> str:
        return rng.choice(load_templates()[slot]).format(**values)

    whole = [
        (say("coarse_question"), entry.coarse[0]),
        (say("attributes_question"), say("attributes_answer")),
        (say("fine_question"), entry.fine[0]),
    ]
    return rng.choice((whole, whole[:2], [(say("direct_question"), entry.fine[0])]))
