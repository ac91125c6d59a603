"""LLaVAs with random weights, of the shapes that the benchmarks take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from finer_tasks.datasets.registry import DATASETS
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.models import BUILT_IN
from finer_tasks.tasks import prompts as prompt_sets
from finer_tasks.training.tiny_llava.model import build_tokenizer

PROMPTS = Path(prompt_sets.__file__).with_name(f"{prompt_sets.DEFAULT}.yaml")


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
    processor = make_processor(shape, tokenizer)
    make_model(shape, processor.tokenizer).save_pretrained(folder)
    processor.save_pretrained(folder)


def make_processor(shape: Shape, tokenizer: Any = None) -> Any:
    """A processor for images of a shape; the tokenizer is the built-in model's unless one is given."""
    processor = AutoProcessor.from_pretrained(BUILT_IN["finer-mini"])
    processor.image_processor.size = {"shortest_edge": shape.side}
    processor.image_processor.crop_size = {"height": shape.side, "width": shape.side}
    processor.patch_size = shape.patch
    processor.tokenizer = tokenizer or processor.tokenizer
    return processor


def make_model(shape: Shape, tokenizer: Any, device: str = "cpu") -> Any:
    """A model of a shape with random weights, made where it is to be: on a GPU, billions of weights take seconds."""
    torch.manual_seed(0)
    torch.set_default_dtype(shape.dtype)
    try:
        with torch.device(device):
            return LlavaForConditionalGeneration(config_of(shape, tokenizer))
    finally:
        torch.set_default_dtype(torch.float32)


def make_tokenizer() -> Any:
    """One with about as many tokens in a name as a language's own: trained on the prompts and the classes of all datasets."""
    labels = [name for dataset in DATASETS for one in load_taxonomy(dataset).classes.values() for name in one.fine]
    return build_tokenizer([PROMPTS.read_text(encoding="utf-8"), *labels], vocabulary=3000)


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
