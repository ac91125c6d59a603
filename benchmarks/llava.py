"""LLaVAs with random weights, of the shapes that the benchmarks take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from finer_tasks.models.loading import BUILT_IN


@dataclass(frozen=True)
class Shape:
    """A LLaVA: the side of its images and patches in pixels; width, inner width, layers and heads of both its parts."""

    side: int
    patch: int
    vision: tuple[int, int, int, int]
    language: tuple[int, int, int, int]
    dtype: torch.dtype = torch.float32


# LLaVA-1.5's shape at two sizes, and the small one with as many image tokens as the large one.
SHAPES = {
    "small": Shape(64, 8, (256, 1024, 6, 4), (384, 1024, 8, 6)),
    "small-576": Shape(336, 14, (256, 1024, 6, 4), (768, 2048, 12, 12)),
    "llava-1.5-7b": Shape(336, 14, (1024, 4096, 24, 16), (4096, 11008, 32, 32), torch.bfloat16),
}


def save_llava(folder: Path, shape: Shape, tokenizer: Any = None) -> None:
    """Write a model of a shape with its processor; the tokenizer is the built-in model's unless one is given."""
    processor = AutoProcessor.from_pretrained(BUILT_IN["finer-mini"])
    processor.image_processor.size = {"shortest_edge": shape.side}
    processor.image_processor.crop_size = {"height": shape.side, "width": shape.side}
    processor.patch_size = shape.patch
    processor.tokenizer = tokenizer or processor.tokenizer
    torch.manual_seed(0)
    torch.set_default_dtype(shape.dtype)
    model = LlavaForConditionalGeneration(config_of(shape, processor.tokenizer))
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def config_of(shape: Shape, tokenizer: Any) -> LlavaConfig:
    """The configuration of a shape, with a vocabulary of LLaVA-1.5's size whatever the tokenizer knows."""
    width, inner, layers, heads = shape.vision
    vision = CLIPVisionConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        image_size=shape.side, patch_size=shape.patch,
    )  # fmt: skip
    width, inner, layers, heads = shape.language
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    language = LlamaConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        vocab_size=32_064, max_position_embeddings=4096, **ids,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=vision, text_config=language, image_seq_length=(shape.side // shape.patch) ** 2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), **ids,
    )  # fmt: skip
