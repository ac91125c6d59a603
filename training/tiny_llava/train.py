"""From nothing to a folder with the trained model and its card."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
import transformers

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.training.saving import saving
from finer_tasks.training.tiny_llava.dialogues import dialogue_texts
from finer_tasks.training.tiny_llava.images import load_split
from finer_tasks.training.tiny_llava.model import build_model, build_processor, build_tokenizer
from finer_tasks.training.tiny_llava.stages import Schedule, train_joint, train_vision
from finer_tasks.writing import replacing, write_text

VISION = Schedule(steps=1500, batch_size=64, learning_rate=1e-3)
JOINT = Schedule(steps=1400, batch_size=32, learning_rate=1e-3)


def train(output: Path, seed: int, vision: Schedule = VISION, joint: Schedule = JOINT) -> dict[str, object]:
    """Train and save to `output`; returns the card that is written beside the weights."""
    started = time.monotonic()
    torch.manual_seed(seed)
    split = load_split("train")
    processor = build_processor(build_tokenizer(dialogue_texts(split.records)))
    model = build_model(processor.tokenizer)
    losses = {
        "vision": train_vision(model, split, seed, vision),
        "joint": train_joint(model, processor, split, seed, joint),
    }
    card: dict[str, object] = {
        "name": "finer-mini",
        "seed": seed,
        "data": mini.READER.source,
        "prompt_set": active_prompt_set().name,
        "prompt_hash": active_prompt_set().hash,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "final_loss": {stage: round(loss, 4) for stage, loss in losses.items()},
        "schedules": {"vision": vars(vision), "joint": vars(joint)},
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    with saving(output), replacing(output) as fresh:
        fresh.mkdir()
        model.half().save_pretrained(fresh)
        processor.save_pretrained(fresh)
        write_text(fresh / "training.json", json.dumps(card, indent=2) + "\n")
    return card
