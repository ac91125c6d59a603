"""From dialogues to the model's ids and labels."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlavaProcessor

from finer_tasks.training.tiny_llava.dialogues import Dialogue
from finer_tasks.training.tiny_llava.model import IMAGE_TOKENS


def encode(processor: LlavaProcessor, dialogues: list[Dialogue], image_tokens: int = IMAGE_TOKENS) -> dict[str, torch.Tensor]:
    """Right-padded ids, mask and labels of dialogues, labels on the answers only."""
    rows = [_encode_one(processor, dialogue, "<image>" * image_tokens) for dialogue in dialogues]
    width = max(len(ids) for ids, _ in rows)
    pad = processor.tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]),
        "labels": torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in rows]),
    }


def _encode_one(processor: LlavaProcessor, dialogue: Dialogue, image_tokens: str) -> tuple[list[int], list[int]]:
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
