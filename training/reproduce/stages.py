"""The three stages that make the base model of the miniature: vision encoder, language model, projector."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch.nn import functional

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.training.reproduce.dialogues import (
    coarse_dialogue,
    concepts_by_id,
    language_dialogue,
    vocabulary_texts,
)
from finer_tasks.training.tiny_llava.encoding import encode
from finer_tasks.training.tiny_llava.images import Split, augment
from finer_tasks.training.tiny_llava.model import build_model, build_processor, build_tokenizer
from finer_tasks.training.tiny_llava.stages import Schedule, steps_of

_PROBE_RIDGE = 1.0


def new_model(split: Split, seed: int) -> tuple[Any, Any]:
    """An untrained model and its processor."""
    torch.manual_seed(seed)
    processor = build_processor(build_tokenizer(vocabulary_texts(split.records)))
    return build_model(processor.tokenizer), processor


def train_encoder(model: Any, split: Split, seed: int, schedule: Schedule) -> None:
    """Stage 1: the vision encoder tells outline and parts of a picture, through linear heads that are then dropped.

    It stands for an encoder trained on captions: it sees all attributes, and no concept's name.
    """
    targets, sizes = part_targets(split.records)
    tower = model.model.vision_tower
    heads = torch.nn.ModuleList(torch.nn.Linear(tower.config.hidden_size, size) for size in sizes)
    generator = torch.Generator().manual_seed(seed)
    for _ in steps_of(schedule, [*tower.parameters(), *heads.parameters()], "vision encoder"):
        chosen = torch.randint(len(split.pixels), (schedule.batch_size,), generator=generator)
        pooled = tower(pixel_values=augment(split.pixels[chosen], generator)).last_hidden_state[:, 1:].mean(1)
        losses = [
            functional.cross_entropy(head(pooled), targets[chosen, number], ignore_index=-1)
            for number, head in enumerate(heads)
            if (targets[chosen, number] >= 0).any()
        ]
        torch.stack(losses).sum().backward()


def part_targets(records: list[FinerRecord]) -> tuple[torch.Tensor, list[int]]:
    """For each record the number of its outline and of each part's look, -1 where it has no such part; and how many looks."""
    concepts = concepts_by_id()
    parts = sorted({part for concept in concepts.values() for part in concept.parts})
    looks = [sorted({concept.shape for concept in concepts.values()})]
    looks += [sorted({c.parts[part] for c in concepts.values() if part in c.parts}) for part in parts]
    rows = []
    for record in records:
        concept = concepts[record.concept_id]
        values = [concept.shape, *(concept.parts.get(part) for part in parts)]
        rows.append([-1 if value is None else known.index(value) for value, known in zip(values, looks, strict=True)])
    return torch.tensor(rows), [len(known) for known in looks]


def train_language(model: Any, processor: Any, seed: int, schedule: Schedule) -> None:
    """Stage 2: the language model learns all concepts by their attributes, from text alone."""
    rng = random.Random(seed)
    concepts = mini.mini_concepts()
    language = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    for _ in steps_of(schedule, language, "language model"):
        dialogues = [language_dialogue(rng.choice(concepts), rng) for _ in range(schedule.batch_size)]
        model(**encode(processor, dialogues)).loss.backward()


def train_projector(model: Any, processor: Any, split: Split, seed: int, schedule: Schedule) -> None:
    """Stage 3: the projector alone learns to say the coarse label of images."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed + 1)
    projector = list(model.model.multi_modal_projector.parameters())
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    for _ in steps_of(schedule, projector, "projector"):
        chosen = torch.randint(len(split.pixels), (schedule.batch_size,), generator=generator)
        dialogues = [coarse_dialogue(split.records[index], rng) for index in chosen.tolist()]
        model(pixel_values=augment(split.pixels[chosen], generator), **encode(processor, dialogues)).loss.backward()
    model.requires_grad_(True)


@torch.no_grad()
def features(model: Any, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean over patches of what leaves the vision encoder and of what leaves the projector, shape (images, width)."""
    found: dict[str, list[torch.Tensor]] = {"vision encoder": [], "projector": []}
    for start in range(0, len(pixels), 128):
        scaled = pixels[start : start + 128].float() / 127.5 - 1
        patches = model.model.vision_tower(pixel_values=scaled).last_hidden_state[:, 1:]
        found["vision encoder"].append(patches.mean(1))
        found["projector"].append(model.model.multi_modal_projector(patches).mean(1))
    return {name: torch.cat(parts) for name, parts in found.items()}


def probe(model: Any, train: Split, test: Split) -> dict[str, list[Any]]:
    """Whether a linear probe names each test image's fine concept from each place (Kim & Ji 2024, section 4), and the concepts.

    Ridge regression onto one-hot labels of standardised features, fitted on the train split.
    """
    names = sorted({record.concept_id for record in train.records})
    labels = [torch.tensor([names.index(record.concept_id) for record in split.records]) for split in (train, test)]
    fitted, shown = features(model, train.pixels), features(model, test.pixels)
    found: dict[str, list[Any]] = {"concepts": [record.concept_id for record in test.records]}
    for place in fitted:
        mean, spread = fitted[place].mean(0), fitted[place].std(0).clamp_min(1e-6)
        x, y = ((values - mean) / spread for values in (fitted[place], shown[place]))
        ones = functional.one_hot(labels[0], len(names)).float()
        weights = torch.linalg.solve(x.T @ x + _PROBE_RIDGE * torch.eye(x.shape[1]), x.T @ (ones - ones.mean(0)))
        found[place] = ((y @ weights + ones.mean(0)).argmax(1) == labels[1]).tolist()
    return found
