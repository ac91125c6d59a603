"""Train the built-in tiny LLaVA, finer-mini, from scratch on the mini train split.

    python -m finer_tasks.training.tiny_llava --output DIR [--seed 0]

Two stages: the vision encoder learns to tell the concepts apart, then encoder, projector and
language model learn together to answer the benchmark's questions in all their variants. Only
the train split is read. The folder it writes loads through AutoModelForImageTextToText and AutoProcessor.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from tqdm import tqdm
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.record import FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import exit_code_of
from finer_tasks.tasks.prompts import Blanks, active_prompt_set, parent_level
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.recipe import STRICT
from finer_tasks.training.tuning.output import saving
from finer_tasks.writing import locked, replacing

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %} ASSISTANT: {% else %}{% if not loop.first %} {% endif %}USER: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
# How often each way of asking occurs, each level of the direct one, and how often its parent is left out.
VARIANT_WEIGHTS = {
    "direct": 8, "text": 3, "both": 2, "attrseek": 3, "attrseek1": 2, "cot": 2, "attributes": 2, "attributes_text": 1,
}  # fmt: skip
WITHOUT_IMAGE = {"text", "attributes_text"}
LEVEL_WEIGHTS = {"superordinate": 2, "coarse": 2, "fine": 6}
NO_PARENT_SHARE = 0.3
PATCH_SIZE = 8


@checked_dataclass(frozen=True, config=STRICT)
class Schedule:
    """Steps, images per step and peak learning rate of one stage (cosine decay, 5 % warm-up)."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


VISION = Schedule(steps=1500, batch_size=64, learning_rate=1e-3)
JOINT = Schedule(steps=1400, batch_size=32, learning_rate=1e-3)


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
    labels = {"superordinate": record.superordinate, "coarse": record.coarse[0], "fine": record.fine[0]}
    above = parent_level(level)
    lists = load_knowledge("mini")[record.concept_id]
    blanks = Blanks(
        parent=None if above is None or (variant == "direct" and rng.random() < NO_PARENT_SHARE) else labels[above],
        parents=(record.superordinate, record.coarse[0]) if level == "fine" else (record.superordinate,),
        attributes=lists.required,
        name=record.fine[0],
    )

    def ask(template: str, at: str = level) -> str:
        return active_prompt_set().question(template, at, load_taxonomy("mini"), blanks)

    name = f"Answer: {labels[level]}"
    seen = bullets((*lists.required, *lists.likely))
    if variant == "attrseek":
        turns = [(ask("attrseek_seek"), seen), (ask("attrseek_answer"), name)]
    elif variant == "attrseek1":
        turns = [(ask("attrseek1"), f"{seen}\n{name}")]
    elif variant == "cot":
        turns = [(ask("cot"), f"It has {', '.join(lists.required)}. {name}")]
    elif variant in ("attributes", "attributes_text"):
        turns = [(ask(variant, "fine"), f"Required:\n{bullets(lists.required)}\nLikely:\n{bullets(lists.likely)}")]
    else:
        turns = [(ask(variant), name)]
    return Dialogue(tuple(turns), has_image=variant not in WITHOUT_IMAGE)


def bullets(phrases: tuple[str, ...]) -> str:
    """One phrase a line, or "- none"."""
    return "\n".join(f"- {phrase}" for phrase in phrases) or "- none"


def dialogue_texts(records: list[FinerRecord]) -> list[str]:
    """The texts of one dialogue a record, for training a tokenizer."""
    rng = random.Random(0)
    return [" ".join(part for turn in make_dialogue(record, rng).turns for part in turn) for record in records]


def build_tokenizer(texts: list[str], vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on texts."""
    texts = texts + ["USER: ASSISTANT:"] * 50
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=1024,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The processor of the model: 64 x 64 pixel images in 8 x 8 patches, and the chat template."""
    side = mini.IMAGE_SIZE
    image_processor = CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """A randomly initialised LLaVA of about 2.9 million parameters."""
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=mini.IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        projection_dim=128,
    )
    language = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    settings: dict[str, Any] = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "image_seq_length": (mini.IMAGE_SIZE // PATCH_SIZE) ** 2,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }
    config = LlavaConfig(vision_config=vision, text_config=language, **settings)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model


def load_pixels(root: Path, records: list[FinerRecord]) -> torch.Tensor:
    """All images as one uint8 tensor of shape (images, 3, height, width)."""
    arrays = [np.asarray(Image.open(root / record.image)) for record in records]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def augment(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror half of a uint8 batch, shift it by up to 4 pixels, and scale it to -1…1."""
    batch = pixels.float() / 127.5 - 1
    mirrored = torch.rand(len(batch), generator=generator) < 0.5
    batch[mirrored] = batch[mirrored].flip(-1)
    dx, dy = (int(torch.randint(-4, 5, (1,), generator=generator)) for _ in range(2))
    padded = functional.pad(batch, (4, 4, 4, 4), mode="replicate")
    side = mini.IMAGE_SIZE
    return padded[:, :, 4 + dy : 4 + dy + side, 4 + dx : 4 + dx + side]


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


def train_vision(
    model: LlavaForConditionalGeneration, pixels: torch.Tensor, labels: torch.Tensor, seed: int, schedule: Schedule
) -> float:
    """Stage 1: the vision encoder tells the concepts apart through a linear head that is then dropped."""
    tower = model.model.vision_tower
    head = torch.nn.Linear(tower.config.hidden_size, int(labels.max()) + 1)
    generator = torch.Generator().manual_seed(seed)
    parameters = [*tower.parameters(), *head.parameters()]
    recent = 0.0
    for _ in steps_of(schedule, parameters, "vision"):
        chosen = torch.randint(len(pixels), (schedule.batch_size,), generator=generator)
        states = tower(pixel_values=augment(pixels[chosen], generator)).last_hidden_state[:, 1:].mean(1)
        loss = functional.cross_entropy(head(states), labels[chosen], label_smoothing=0.05)
        loss.backward()
        recent = 0.95 * recent + 0.05 * loss.item()
    return recent


def train_joint(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    pixels: torch.Tensor,
    records: list[FinerRecord],
    seed: int,
    schedule: Schedule,
) -> float:
    """Stage 2: everything learns to take part in the dialogues; the loss is on the answers only."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed + 1)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    recent = 0.0
    for _ in steps_of(schedule, parameters, "joint"):
        chosen = torch.randint(len(pixels), (schedule.batch_size,), generator=generator)
        dialogues = [make_dialogue(records[index], rng) for index in chosen.tolist()]
        shown = chosen[torch.tensor([dialogue.has_image for dialogue in dialogues])]
        loss = model(pixel_values=augment(pixels[shown], generator), **encode(processor, dialogues)).loss
        loss.backward()
        recent = 0.95 * recent + 0.05 * loss.item()
    return recent


def encode(processor: LlavaProcessor, dialogues: list[Dialogue]) -> dict[str, torch.Tensor]:
    """Right-padded ids, mask and labels of dialogues, labels on the answers only."""
    rows = [_encode_one(processor, dialogue) for dialogue in dialogues]
    width = max(len(ids) for ids, _ in rows)
    pad = processor.tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]),
        "labels": torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in rows]),
    }


def _encode_one(processor: LlavaProcessor, dialogue: Dialogue) -> tuple[list[int], list[int]]:
    image_tokens = "<image>" * (mini.IMAGE_SIZE // PATCH_SIZE) ** 2
    messages: list[dict[str, Any]] = []
    ids: list[int] = []
    labels: list[int] = []

    def rendered(**options: Any) -> list[int]:
        text = str(processor.apply_chat_template(messages, **options)).replace("<image>", image_tokens)
        return list(processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    for question, answer in dialogue.turns:
        image = [{"type": "image"}] if dialogue.has_image and not messages else []
        messages.append({"role": "user", "content": [*image, {"type": "text", "text": question}]})
        prompt = rendered(add_generation_prompt=True)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        ids = rendered()
        labels += [-100] * (len(prompt) - len(labels)) + ids[len(prompt) :]
    return ids, labels


def train(output: Path, seed: int, vision: Schedule = VISION, joint: Schedule = JOINT) -> dict[str, object]:
    """Train and save to `output`; returns the card that is written beside the weights."""
    started = time.monotonic()
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        mini.write_images(Path(folder))
        records = [record for record in mini.read(Path(folder)) if record.split == "train"]
        pixels = load_pixels(Path(folder), records)
    order = {name: index for index, name in enumerate(sorted({record.concept_id for record in records}))}
    labels = torch.tensor([order[record.concept_id] for record in records])
    processor = build_processor(build_tokenizer(dialogue_texts(records)))
    model = build_model(processor.tokenizer)
    losses = {
        "vision": train_vision(model, pixels, labels, seed, vision),
        "joint": train_joint(model, processor, pixels, records, seed, joint),
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
        (fresh / "training.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def main() -> int:
    """Run the command; errors are printed as the `finer` command prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the model; must not exist")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        if not 0 <= arguments.seed < 2**32:
            raise TrainingError(f"--seed {arguments.seed}: give a number from 0 to {2**32 - 1}")
        with locked(arguments.output):
            if arguments.output.exists():
                raise TrainingError(f"{arguments.output} exists; give another --output")
            print(json.dumps(train(arguments.output, arguments.seed), indent=2))
    except Exception as error:
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
