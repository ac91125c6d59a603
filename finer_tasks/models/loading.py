"""Loading any transformers image-text-to-text model with its processor, and a LoRA adapter on top."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from loguru import logger
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from finer_tasks.errors import ModelError, in_one_line, typed
from finer_tasks.models import BUILT_IN
from finer_tasks.models.adapters import attach, refuse_not_finite
from finer_tasks.models.encoder_cache import cache_encoder
from finer_tasks.models.fingerprint import WEIGHTS
from finer_tasks.models.foreign import advice_on, is_authors_llava, refuse_foreign
from finer_tasks.models.memory import is_out_of_memory
from finer_tasks.models.projectors import register
from finer_tasks.models.tokens import add_tokens_of

_PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
# Buffers that old checkpoints lack: a model computes them anew.
_COMPUTED = ("position_ids", "inv_freq", "num_batches_tracked")


# Arguments of a model of lmms-eval that do not say what is loaded.
_OF_RUNS = ("batch_size", "workers", "resume", "max_batch_size")


@dataclass(frozen=True)
class LoadOptions:
    """How to load: see the arguments of FinerHF. Raises ModelError where a value has another type."""

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
    encoder_cache: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, wanted = getattr(self, field.name), "True or False" if field.type == "bool" else "a text"
            if not isinstance(value, bool if field.type == "bool" else (str, type(None))):
                raise ModelError(f"{field.name}={value}: give {wanted}")

    @property
    def label(self) -> str:
        """The model as results name it: base and adapter."""
        return self.pretrained + (f",peft={self.peft}" if self.peft else "")

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> LoadOptions:
        """From the model arguments of finer_hf; raises ModelError where one is unknown, or none names a model."""
        known = [field.name for field in fields(cls)]
        if not arguments.get("pretrained"):
            raise ModelError("finer_hf needs the model argument pretrained=<folder, hub name or finer-mini>")
        if unknown := sorted(set(arguments) - {*known, *_OF_RUNS}):
            raise ModelError(f"unknown model argument {unknown[0]!r}; known are {', '.join((*_OF_RUNS[:3], *known))}")
        return cls(**{name: value for name, value in arguments.items() if name in known})


def resolve(pretrained: str) -> str:
    """The folder of a built-in model, or the name or path itself."""
    return str(BUILT_IN.get(pretrained, pretrained))


def choose_device(wanted: str | None) -> torch.device:
    """The wanted device, else the first GPU, else the CPU; raises ModelError if it is not there."""
    try:
        device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ModelError(f"device={wanted} is no device of torch. Use cpu, cuda, cuda:1, mps or xpu") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device={wanted}: no CUDA device is visible. Use device=cpu or check CUDA_VISIBLE_DEVICES")
    there = torch.accelerator.current_accelerator(check_available=True)
    if device.type != "cpu" and (there is None or there.type != device.type):
        raise ModelError(f"device={wanted} is not there. Use device={'cpu' if there is None else there.type}")
    if (device.index or 0) >= (torch.accelerator.device_count() if device.type != "cpu" else 1):
        raise ModelError(f"device={wanted}: there are {torch.accelerator.device_count()} such devices, counted from 0")
    return device


def load_processor(options: LoadOptions) -> Any:
    """The processor, with the tokens that an adapter added, padding on the left as batched generation needs."""
    options = base_and_adapter(options)
    refuse_foreign("pretrained", resolve(options.pretrained))
    register()
    try:
        processor = AutoProcessor.from_pretrained(
            resolve(options.pretrained), revision=options.revision, trust_remote_code=options.trust_remote_code
        )
    except Exception as error:  # whatever the files of a model can be wrong in
        raise ModelError(_not_loaded(options.pretrained, error)) from error
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ModelError(
            f"pretrained={options.pretrained}: its processor handles no images; finer_hf needs an image-text-to-text model"
        )
    if options.peft:
        add_tokens_of(options.peft, processor.tokenizer)
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def load_model(options: LoadOptions, device: torch.device) -> Any:
    """The model in evaluation mode on `device` (or spread by device_map), adapter attached if given.

    Raises ModelError if it cannot be loaded, or is not whole: weights that are missing would be random.
    """
    options, dtype = base_and_adapter(options), _dtype(options.dtype, device)
    refuse_foreign("pretrained", resolve(options.pretrained))
    register()
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            resolve(options.pretrained),
            revision=options.revision,
            dtype=dtype,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            **_placement(options, device),
        )
        if Path(resolve(options.pretrained), "generation_config.json").is_file():
            GenerationConfig.from_pretrained(resolve(options.pretrained))  # loading a model passes over a broken one
    except Exception as error:  # whatever the files of a model can be wrong in
        raise ModelError(_not_loaded(options.pretrained, error)) from error
    model, found = loaded
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(f"pretrained={options.pretrained} is or holds an adapter: give pretrained=<its base model>,peft=<it>")
    _refuse_incomplete(options.pretrained, found["missing_keys"], found["unexpected_keys"])
    refuse_not_finite(f"pretrained={options.pretrained}", model.named_parameters())
    if options.encoder_cache:
        cache_encoder(model, Path(options.encoder_cache))
    if options.peft:
        model = attach(model, options.peft, options.pretrained)
    if not options.device_map and not (options.load_in_4bit or options.load_in_8bit):
        try:
            model.to(device)
        except RuntimeError as error:
            raise ModelError(_not_loaded(options.pretrained, error)) from error
    return model.eval()


def base_and_adapter(options: LoadOptions) -> LoadOptions:
    """Options that name base and adapter apart, where `pretrained` is the folder of an adapter alone."""
    folder = Path(resolve(options.pretrained))
    config = folder / "adapter_config.json"
    if options.peft or not config.is_file() or any(_is_whole_model(path) for path in folder.iterdir()):
        return options
    what = f"pretrained={options.pretrained} is an adapter"
    if is_authors_llava(folder):
        raise ModelError(f"{what} of the authors' LLaVA. Give pretrained=<its base, converted for transformers>,peft=<it>")
    try:
        base = json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{what}, and its adapter_config.json cannot be read ({in_one_line(error)})") from error
    if not isinstance(base, str) or not base:
        raise ModelError(f"{what} that names no base. Give pretrained=<base model>,peft=<it>")
    return replace(options, pretrained=base, peft=options.pretrained)


def _is_whole_model(path: Path) -> bool:
    return path.suffix in WEIGHTS and path.name.startswith(("model", "pytorch_model"))


def _refuse_incomplete(pretrained: str, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    lost = sorted(name for name in missing if name.rpartition(".")[2] not in _COMPUTED)
    unknown = sorted(unexpected)
    if not lost and not any("lora_" in name for name in unknown):
        if unknown:
            logger.warning(
                f"pretrained={pretrained}: {len(unknown)} tensors of its weights have no place in the model and are left out, "
                f"for example {', '.join(unknown[:3])}. Check its config.json, such as the number of layers"
            )
        return
    told = f"lack {len(lost)} of the model's tensors, for example {', '.join(lost[:3])}" if lost else "hold an adapter"
    if unknown:
        told += f"; {len(unknown)} of theirs have no place in it, for example {', '.join(unknown[:3])}"
    raise ModelError(
        f"pretrained={pretrained}: its weights {told}. What is missing would be random. "
        "Save or convert the model again, with all of its parts under the names of transformers"
    )


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
    if name == "checkpoint":
        return "auto"
    if name == "auto":
        # Half precision is slow on CPUs, and a checkpoint's dtype is chosen for GPUs.
        return torch.float32 if device.type == "cpu" else "auto"
    dtype: torch.dtype | None = getattr(torch, name, None)
    if dtype is None or dtype not in _PRECISIONS:
        raise ModelError(f"dtype={name} is no precision of models. Use auto, float32, bfloat16 or float16")
    return dtype


def _not_loaded(pretrained: str, error: Exception) -> str:
    if is_out_of_memory(error):
        return f"pretrained={pretrained} does not fit in memory. Use a smaller dtype, load_in_4bit=True, or a larger device"
    known = f"Give a model folder, a name on the Hugging Face hub, or one of the built-in {', '.join(BUILT_IN)}"
    return f"pretrained={pretrained} cannot be loaded: {typed(error).rstrip('.')}. {advice_on(error) or known}"
