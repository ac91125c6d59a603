"""The two stages of training: the vision encoder first, then everything together."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch.nn import functional
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from finer_tasks.training.recipe import STRICT
from finer_tasks.training.tiny_llava.dialogues import make_dialogue
from finer_tasks.training.tiny_llava.encoding import encode
from finer_tasks.training.tiny_llava.images import Split, augment


@dataclass(frozen=True, config=STRICT)
class Schedule:
    """Steps, images per step and peak learning rate of one stage (cosine decay, 5 % warm-up)."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


def steps_of(schedule: Schedule, parameters: list[torch.nn.Parameter], name: str) -> Iterator[torch.optim.Optimizer]:
    """Yield an optimizer once per step, with the learning rate set for it; shows progress."""
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.05)
    warm_up = max(1, schedule.steps // 20)
    for step in tqdm(range(schedule.steps), desc=name, mininterval=5):
        progress = max(0, step - warm_up) / max(1, schedule.steps - warm_up)
        scale = min(1, (step + 1) / warm_up) * (0.5 + 0.5 * math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * scale
        optimizer.zero_grad()
        yield optimizer
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def train_vision(model: LlavaForConditionalGeneration, split: Split, seed: int, schedule: Schedule) -> float:
    """Stage 1: the vision encoder tells the concepts apart through a linear head that is then dropped."""
    names = sorted({record.concept_id for record in split.records})
    labels = torch.tensor([names.index(record.concept_id) for record in split.records])
    tower = model.model.vision_tower
    head = torch.nn.Linear(tower.config.hidden_size, len(names))
    generator = torch.Generator().manual_seed(seed)
    parameters = [*tower.parameters(), *head.parameters()]
    recent = 0.0
    for _ in steps_of(schedule, parameters, "vision"):
        chosen = torch.randint(len(split.pixels), (schedule.batch_size,), generator=generator)
        states = tower(pixel_values=augment(split.pixels[chosen], generator)).last_hidden_state[:, 1:].mean(1)
        loss = functional.cross_entropy(head(states), labels[chosen], label_smoothing=0.05)
        loss.backward()
        recent = 0.95 * recent + 0.05 * loss.item()
    return recent


def train_joint(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    split: Split,
    seed: int,
    schedule: Schedule,
) -> float:
    """Stage 2: everything learns to take part in the dialogues; the loss is on the answers only."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed + 1)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    recent = 0.0
    for _ in steps_of(schedule, parameters, "joint"):
        chosen = torch.randint(len(split.pixels), (schedule.batch_size,), generator=generator)
        dialogues = [make_dialogue(split.records[index], rng) for index in chosen.tolist()]
        shown = chosen[torch.tensor([dialogue.has_image for dialogue in dialogues])]
        loss = model(pixel_values=augment(split.pixels[shown], generator), **encode(processor, dialogues)).loss
        loss.backward()
        recent = 0.95 * recent + 0.05 * loss.item()
    return recent
