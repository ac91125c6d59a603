"""finer-mini with one fault planted, as model folders."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.models import BUILT_IN
from finer_tasks.training.tiny_llava.dialogues import Dialogue, benchmark_turns
from finer_tasks.training.tiny_llava.encoding import encode
from finer_tasks.training.tiny_llava.images import augment, load_split
from finer_tasks.training.tiny_llava.stages import Schedule, steps_of


def _load() -> tuple[Any, Any]:
    folder = BUILT_IN["finer-mini"]
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)


def _save(model: Any, processor: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@torch.no_grad()
def blind(folder: Path) -> Path:
    """The encoder sees the same grey picture always."""
    model, processor = _load()
    model.model.vision_tower.embeddings.patch_embedding.weight.zero_()
    return _save(model, processor, folder)


@torch.no_grad()
def flat_projector(folder: Path, rank: int = 0) -> Path:
    """The projector passes on what fits into few directions, or nothing (its last weights, cut by singular values)."""
    model, processor = _load()
    weight = model.model.multi_modal_projector.linear_2.weight
    left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
    weight.copy_(left[:, :rank] * sizes[:rank] @ right[:rank])
    return _save(model, processor, folder)


@torch.no_grad()
def turned_projector(folder: Path) -> Path:
    """What the projector gives is turned in space: nothing is lost, but the language model has learnt to read it otherwise."""
    model, processor = _load()
    torch.manual_seed(0)
    last = model.model.multi_modal_projector.linear_2
    turn = torch.linalg.qr(torch.randn(last.out_features, last.out_features)).Q
    last.weight.copy_(turn @ last.weight)
    last.bias.copy_(turn @ last.bias)
    return _save(model, processor, folder)


@torch.no_grad()
def scrambled_language(folder: Path) -> Path:
    """All layers of the language model but the first have their weights in random order."""
    model, processor = _load()
    torch.manual_seed(0)
    for layer in model.model.language_model.layers[1:]:
        for weight in layer.parameters():
            weight.copy_(weight.flatten()[torch.randperm(weight.numel())].view_as(weight))
    return _save(model, processor, folder)


def forbidden_names(folder: Path, concepts: Sequence[str]) -> Path:
    """The model may not write the names of some concepts; what it finds likely is as before."""
    model, processor = _load()
    names = [name for concept in concepts for name in concepts_of("mini").by_id[concept].fine]
    words = [processor.tokenizer(f" {name}", add_special_tokens=False)["input_ids"] for name in names]
    model.generation_config = GenerationConfig(**{**model.generation_config.to_diff_dict(), "bad_words_ids": words})
    return _save(model, processor, folder)


def never_taught(folder: Path, concepts: Sequence[str], others: Sequence[str], schedule: Schedule) -> Path:
    """The language model goes on learning from dialogues about `others` alone, until names that never come are forgotten."""
    model, processor = _load()
    model.train()
    for part in (model.model.vision_tower, model.model.multi_modal_projector):
        part.requires_grad_(False)
    split = load_split("train")
    taught = [number for number, record in enumerate(split.records) if record.concept_id in set(others) - set(concepts)]
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    for _ in steps_of(schedule, [one for one in model.parameters() if one.requires_grad], "never taught"):
        chosen = rng.choices(taught, k=schedule.batch_size)
        asked = [rng.choice(("direct", "text")) for _ in chosen]
        shown = torch.tensor([number for number, variant in zip(chosen, asked, strict=True) if variant == "direct"])
        dialogues = [
            Dialogue(tuple(benchmark_turns(split.records[number], variant, "fine", rng)), has_image=variant == "direct")
            for number, variant in zip(chosen, asked, strict=True)
        ]
        model(pixel_values=augment(split.pixels[shown], generator), **encode(processor, dialogues)).loss.backward()
    return _save(model.eval(), processor, folder)
