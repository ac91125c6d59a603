"""Training one projector between a frozen encoder and a frozen language model, on cached patches."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from finer_tasks.datasets.record import labels_at, parent_level
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.tasks.prompts import Blanks, active_prompt_set
from finer_tasks.training.ablation.features import Features
from finer_tasks.training.ablation.plan import AblationPlan, Arm
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tiny_llava.dialogues import NO_PARENT_SHARE, Dialogue
from finer_tasks.training.tiny_llava.encoding import encode
from finer_tasks.training.tiny_llava.stages import Schedule, steps_of


@dataclass(frozen=True)
class Task:
    """What all arms are trained and chosen on: cached patches, and rows of them to train on and to choose by."""

    plan: AblationPlan
    features: Features
    train: Sequence[int]
    validation: Sequence[int]


def task_of(plan: AblationPlan, features: Features) -> Task:
    """Some images of every dataset, drawn at random, are left out of training."""
    order = list(range(len(features.documents)))
    random.Random(plan.seed).shuffle(order)
    held = max(1, round(plan.validation * len(order)))
    if held >= len(order):
        raise TrainingError(f"{len(order)} image of {plan.dataset} is too few to train on; raise per_concept")
    return Task(plan, features, sorted(order[held:]), sorted(order[:held]))


def teach(task: Task, arm: Arm, seed: int, rate: float, model: Any, processor: Any) -> float:
    """Train the projector of a model; returns the mean loss on the images left out."""
    plan, rng = task.plan, random.Random(seed)
    projector = model.model.multi_modal_projector
    schedule = Schedule(plan.projector_steps, plan.batch_size, rate)
    for _ in steps_of(schedule, list(projector.parameters()), f"{arm}, seed {seed}, rate {rate:g}"):
        rows = rng.choices(task.train, k=plan.batch_size)
        _loss(task, arm, rows, rng, model, processor).backward()
    with torch.no_grad():
        rng, losses = random.Random(plan.seed), []
        for start in range(0, len(task.validation), plan.batch_size):
            held = task.validation[start : start + plan.batch_size]
            losses += [float(_loss(task, arm, held, rng, model, processor))] * len(held)
    return sum(losses) / len(losses)


def dialogue(document: Mapping[str, Any], dataset: str, level: str, rng: random.Random) -> Dialogue:
    """The direct question at a level with its true answer; rng draws whether it names the parent."""
    above = parent_level(level)
    parent = None if above is None or rng.random() < NO_PARENT_SHARE else labels_at(document, above)[0]
    question = active_prompt_set().question("direct", level, load_taxonomy(dataset), Blanks(parent))
    return Dialogue(((question, f"Answer: {labels_at(document, level)[0]}"),), has_image=True)


def _loss(task: Task, arm: Arm, rows: Sequence[int], rng: random.Random, model: Any, processor: Any) -> torch.Tensor:
    plan = task.plan
    dialogues = [dialogue(task.features.documents[row], plan.dataset, rng.choice(plan.teaches), rng) for row in rows]
    images = model.model.multi_modal_projector(task.features.of(plan.layers_of(arm), rows))
    # As LLaVA's own encoding of images gives it: a list, whatever the type says.
    shown = {"image": BaseModelOutputWithPooling(pooler_output=list(images))}  # type: ignore[arg-type]
    loss: torch.Tensor = model(mm_encoder_outputs=shown, **encode(processor, dialogues, model.config.image_seq_length)).loss
    return loss
