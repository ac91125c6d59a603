"""Loading any transformers image-text-to-text model with its processor, and a LoRA adapter on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from loguru import logger
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer_tasks.errors import ModelError

BUILT_IN = {"finer-mini": Path(__file__).with_name("finer_mini")}


@dataclass(frozen=True)
class LoadOptions:
    """How to load: see the arguments of FinerHF."""

    pretrained: str
    peft: str | None = None
    revision: str = "main"
    dtype: str = "auto"
    device: str | None = None
    device_map: str | None = None
    attn_implementation: str | None = None
    load_in_4bit: bool = False
    load_in_8bit: bool = False
    trust_remote_code: bool = False


def resolve(pretrained: str) -> str:
    """The folder of a built-in model, or the name or path itself."""
    return str(BUILT_IN.get(pretrained, pretrained))


def choose_device(wanted: str | None) -> torch.device:
    """The wanted device, else the first GPU, else the CPU; raises ModelError if it is not there."""
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device={wanted}: no CUDA device is visible. Use device=cpu or check CUDA_VISIBLE_DEVICES")
    return device


def load_processor(options: LoadOptions) -> Any:
    """The processor, its tokenizer padding on the left as batched generation needs."""
    try:
        processor = AutoProcessor.from_pretrained(
            resolve(options.pretrained), revision=options.revision, trust_remote_code=options.trust_remote_code
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(_not_loaded(options.pretrained, error)) from error
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ModelError(
            f"pretrained={options.pretrained}: its processor handles no images; finer_hf needs an image-text-to-text model"
        )
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def load_model(options: LoadOptions, device: torch.device) -> Any:
    """The model in evaluation mode on `device` (or spread by device_map), adapter attached if given."""
    try:
        model: Any = AutoModelForImageTextToText.from_pretrained(
            resolve(options.pretrained),
            revision=options.revision,
            dtype=_dtype(options.dtype, device),
            trust_remote_code=options.trust_remote_code,
            **_placement(options, device),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(_not_loaded(options.pretrained, error)) from error
    if options.peft:
        model = _attach(model, options.peft)
    if not options.device_map and not (options.load_in_4bit or options.load_in_8bit):
        model.to(device)
    return model.eval()


def _placement(options: LoadOptions, device: torch.device) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if options.attn_implementation:
        arguments["attn_implementation"] = options.attn_implementation
    if options.device_map:
        arguments["device_map"] = options.device_map
    if options.load_in_4bit or options.load_in_8bit:
        from transformers import BitsAndBytesConfig

        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=options.load_in_4bit, load_in_8bit=options.load_in_8bit, bnb_4bit_compute_dtype=torch.bfloat16
        )
        arguments.setdefault("device_map", {"": device})
    return arguments


def _dtype(name: str, device: torch.device) -> torch.dtype | str:
    if name == "auto":
        # Half precision is slow on CPUs, and a checkpoint's dtype is chosen for GPUs.
        return torch.float32 if device.type == "cpu" else "auto"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ModelError(f"dtype={name} is no torch dtype. Use auto, float32, bfloat16 or float16")
    return dtype


def _attach(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    try:
        attached = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"peft={adapter}: not a LoRA adapter of this model ({_first_line(error)}). "
            "Give the folder that holds adapter_config.json, and the base model it was trained on"
        ) from error
    logger.info(f"Adapter {adapter} attached")
    return attached


def _not_loaded(pretrained: str, error: Exception) -> str:
    return (
        f"pretrained={pretrained} cannot be loaded: {_first_line(error)} "
        f"Give a model folder, a name on the Hugging Face hub, or one of the built-in {', '.join(BUILT_IN)}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
