"""The stages that make a base model of its parts: vision encoder, language model, projector."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPooling

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.models.projectors import ClassToken
from finer_tasks.training.reproduce.dialogues import Subject, coarse_dialogue, language_dialogue
from finer_tasks.training.reproduce.images import Shown, handed_over
from finer_tasks.training.tiny_llava.dialogues import Dialogue
from finer_tasks.training.tiny_llava.encoding import encode
from finer_tasks.training.tiny_llava.images import Split, augment
from finer_tasks.training.tiny_llava.stages import Schedule, steps_of

# Batches that are drawn at once and sorted by length.
_POOL = 16
_BATCH = 32


def train_encoder(model: Any, split: Split, seed: int, schedule: Schedule) -> None:
    """Of mini: the vision encoder tells outline and parts of a picture, through linear heads that are then dropped.

    It stands for an encoder trained on captions: it sees all attributes, and no concept's name.
    """
    targets, sizes = part_targets(split.records)
    tower = model.model.vision_tower
    heads = torch.nn.ModuleList(torch.nn.Linear(tower.config.hidden_size, size) for size in sizes).to(model.device)
    generator = torch.Generator().manual_seed(seed)
    for _ in steps_of(schedule, [*tower.parameters(), *heads.parameters()], "vision encoder"):
        chosen = torch.randint(len(split.pixels), (schedule.batch_size,), generator=generator)
        pixels, wanted = augment(split.pixels[chosen], generator).to(model.device), targets[chosen].to(model.device)
        pooled = tower(pixel_values=pixels).last_hidden_state[:, 1:].mean(1)
        losses = [
            functional.cross_entropy(head(pooled), wanted[:, number], ignore_index=-1)
            for number, head in enumerate(heads)
            if (wanted[:, number] >= 0).any()
        ]
        torch.stack(losses).sum().backward()


def part_targets(records: list[FinerRecord]) -> tuple[torch.Tensor, list[int]]:
    """For each record the number of its outline and of each part's look, -1 where it has no such part; and how many looks."""
    concepts = {concept.concept.concept_id: concept for concept in mini.mini_concepts()}
    parts = sorted({part for concept in concepts.values() for part in concept.parts})
    looks = [sorted({concept.shape for concept in concepts.values()})]
    looks += [sorted({c.parts[part] for c in concepts.values() if part in c.parts}) for part in parts]
    rows = []
    for record in records:
        concept = concepts[record.concept_id]
        values = [concept.shape, *(concept.parts.get(part) for part in parts)]
        rows.append([-1 if value is None else known.index(value) for value, known in zip(values, looks, strict=True)])
    return torch.tensor(rows), [len(known) for known in looks]


def train_language(model: Any, processor: Any, subjects: Sequence[Subject], told: float, seed: int, schedule: Schedule) -> None:
    """The language model learns all concepts by their attributes, from text alone."""
    rng = random.Random(seed)
    language = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    batches = _batches_of_texts(subjects, told, schedule.batch_size, rng)
    for _ in steps_of(schedule, language, "language model"):
        model(**_inputs(model, processor, next(batches))).loss.backward()


def _batches_of_texts(
    subjects: Sequence[Subject], told: float, batch_size: int, rng: random.Random
) -> Iterator[list[Dialogue]]:
    """Dialogues about concepts drawn at random, those of about one length together, so that little is padding."""
    while True:
        drawn = [language_dialogue(rng.choice(subjects), told, rng) for _ in range(_POOL * batch_size)]
        drawn.sort(key=lambda dialogue: sum(len(text) for turn in dialogue.turns for text in turn))
        batches = [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]
        rng.shuffle(batches)
        yield from batches


def train_projector(model: Any, processor: Any, shown: Sequence[Shown], seed: int, schedule: Schedule) -> None:
    """The projector alone learns to bring out the superordinate and coarse label of images."""
    rng = random.Random(seed)
    model.requires_grad_(False)
    projector = model.model.multi_modal_projector.requires_grad_(True)
    if isinstance(projector, ClassToken):
        batches = (handed_over(model, processor, shown[start : start + _BATCH]) for start in range(0, len(shown), _BATCH))
        projector.standardise(torch.cat([projector.pooled(batch) for batch in batches]))
    for _ in steps_of(schedule, list(projector.parameters()), "projector"):
        batch = rng.choices(shown, k=schedule.batch_size)
        dialogues = [coarse_dialogue(one.document, rng) for one in batch]
        images = projector(handed_over(model, processor, batch))
        # As LLaVA's own encoding of images gives it: a list, whatever the type says.
        seen = {"image": BaseModelOutputWithPooling(pooler_output=list(images))}  # type: ignore[arg-type]
        model(mm_encoder_outputs=seen, **_inputs(model, processor, dialogues)).loss.backward()
    model.requires_grad_(True)


def _inputs(model: Any, processor: Any, dialogues: list[Dialogue]) -> dict[str, torch.Tensor]:
    encoded = encode(processor, dialogues, model.config.image_seq_length)
    return {name: values.to(model.device) for name, values in encoded.items()}
