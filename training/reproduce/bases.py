"""The base model of a seed, stage by stage, and what linear probes read from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from finer_tasks.models.encoder_cache import cache_encoder
from finer_tasks.models.loading import LoadOptions, choose_device, load_model, load_processor
from finer_tasks.models.projectors import LLAVA, MODEL_TYPE
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.reproduce.building import build
from finer_tasks.training.reproduce.dialogues import subjects_of
from finer_tasks.training.reproduce.images import chosen
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.probing import probe
from finer_tasks.training.reproduce.stages import train_encoder, train_language, train_projector
from finer_tasks.training.saving import saving
from finer_tasks.training.tiny_llava.images import load_split
from finer_tasks.writing import replacing, write_text


def make_base(plan: Plan, seed: int, layout: Layout) -> None:
    """Build the model of its parts and train what the plan trains of them; each stage is kept, and not done twice."""
    encoder, language, projector = plan.base.parts
    subjects = subjects_of(plan.datasets)
    model, processor = build(plan.base, subjects, seed)
    model.to(choose_device(None))
    if schedule := encoder.train:
        do = partial(train_encoder, model, load_split("train"), seed, schedule)
        _stage(model, processor, layout.base(seed, "vision"), do)
    if schedule := language.text:
        do = partial(train_language, model, processor, subjects, language.told, seed, schedule)
        _stage(model, processor, layout.base(seed, "text"), do)
    if features := cached_features(plan, layout):
        cache_encoder(model, features)
    shown = chosen(plan, "train", plan.per_concept)
    do = partial(train_projector, model, processor, shown, seed, projector.train)
    _stage(model, processor, layout.base(seed), do)


def probe_base(plan: Plan, seed: int, layout: Layout) -> None:
    """Fit linear probes before and after the projector, on the images of train, and write what they say of those of test."""
    features = cached_features(plan, layout)
    options = LoadOptions(
        plan.base.checkpoint or str(layout.base(seed)), encoder_cache=None if features is None else str(features)
    )
    model, processor = load_model(options, choose_device(None)), load_processor(options)
    if model.config.model_type not in (LLAVA, MODEL_TYPE):
        raise TrainingError(
            f"probe=true is for LLaVA, and {options.pretrained} is a {model.config.model_type}; give probe=false"
        )
    train, test = chosen(plan, "train", plan.per_concept), chosen(plan, "test", plan.documents_per_concept)
    write_text(layout.probe(plan.base_of(seed)), json.dumps(probe(model, processor, train, test, seed)) + "\n")


def cached_features(plan: Plan, layout: Layout) -> Path | None:
    """Where what the vision encoder makes of images is kept, if the plan keeps it."""
    return layout.features if plan.cache_features else None


def _stage(model: Any, processor: Any, folder: Path, do: Callable[[], None]) -> None:
    """Do a stage and keep what it gives; of one that was done before, the model gets the weights."""
    if folder.exists():
        model.load_state_dict(load_model(LoadOptions(str(folder)), torch.device("cpu")).state_dict())
        return
    model.train()
    do()
    model.eval()
    with saving(folder), replacing(folder) as fresh:
        fresh.mkdir()
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
