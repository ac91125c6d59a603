"""Attaching an adapter so that every tensor of its file has its place in the model, or is refused by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from finer_tasks.errors import ModelError, in_one_line, typed
from finer_tasks.models.adapter_names import PEFT, Names, modules_of
from finer_tasks.models.foreign import refuse_foreign

LORA = "lora_"
# Ways to begin a LoRA that change the base's weights by chance or by data; peft computes those of pissa and olora again.
_CHANGES_BASE = ("pissa_niter_", "corda", "lora_ga", "loftq")
# Beside the adapter in the authors' LLaVA: the projector, trained in full.
NON_LORA = "non_lora_trainables.bin"


def without_adapter(model: Any) -> Any:
    """The model below an adapter, or the model itself where it has none."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def attach(model: Any, adapter: str, base: str) -> Any:
    """The model with the adapter on it, frozen.

    Of LoRA, names of older versions of transformers, of trainers of the language model alone and of
    data parallel training are understood. Raises ModelError if the adapter cannot be read, holds numbers
    that are not finite, or has a tensor that belongs nowhere in the model.
    """
    config, weights = read_adapter(adapter)
    _refuse_unusable(config, adapter)
    _refuse_changed_base(config, adapter)
    _refuse_another_language_model(config, adapter, base, weights)
    if config.base_model_name_or_path and Path(config.base_model_name_or_path).name != Path(base).name:
        logger.warning(f"{adapter} was trained on {config.base_model_name_or_path}; it is attached to {base}")
    refuse_not_finite(f"peft={adapter}", weights.items())
    _refuse_offloaded(model, adapter)
    prefix = _prefix(config, adapter)
    names = Names(model)
    placed, nowhere = names.place(weights, prefix) if prefix == LORA else (weights, [])
    lost = [key for key in nowhere if ".experts." not in key]  # transformers fuses experts, peft adapters of them
    if lost:
        raise ModelError(_no_fit(adapter, len(weights), lost, names))
    if prefix == LORA:
        _refuse_integers(adapter, placed)
        _rename_patterns(config, adapter, names, modules_of(placed, prefix))
    _enlarge_vocabulary(model, placed)
    narrowed = prefix == LORA and not nowhere and _narrow(config, modules_of(placed, prefix))
    try:
        attached, missing, unexpected = _inject(model, config, placed)
    except KeyError as error:
        raise ModelError(
            f"peft={adapter}: its config lists modules_to_save={', '.join(config.modules_to_save or ())}, but its weights hold "
            f"no {error.args[0]}. The file was written without what was trained in full; save the adapter again"
        ) from error
    except (TypeError, AttributeError, ArithmeticError, ImportError, re.error) as error:
        raise ModelError(
            f"peft={adapter}: its adapter_config.json holds a value that peft cannot use ({typed(error)}). Mend it"
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ModelError(_no_fit(adapter, len(weights), [], names, in_one_line(error))) from error
    if unexpected:
        raise ModelError(_no_fit(adapter, len(weights), unexpected, names))
    absent = sorted(name for name in missing if f".{prefix}" in name)
    if narrowed and absent:
        raise ModelError(f"peft={adapter}: {len(absent)} tensors are not in its file, for example {absent[0]}. Save it again")
    logger.info(f"Adapter {adapter} attached: {len(weights)} tensors")
    return attached.eval()


def read_adapter(adapter: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """Config and tensors of an adapter, a folder or a name on the hub. Raises ModelError."""
    from peft import PeftConfig
    from peft.utils import load_peft_weights

    refuse_foreign("peft", adapter)
    try:
        config = PeftConfig.from_pretrained(adapter)
        weights = dict(load_peft_weights(adapter, device="cpu"))
        if (Path(adapter) / NON_LORA).is_file():
            weights |= torch.load(Path(adapter) / NON_LORA, map_location="cpu", weights_only=True)
        if not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
            raise ValueError("its file holds other things than tensors")
    except Exception as error:  # whatever the files of an adapter can be wrong in
        raise ModelError(
            f"peft={adapter}: not an adapter that can be read ({typed(error)}). "
            "Give the folder that holds adapter_config.json and adapter_model.safetensors, whole"
        ) from error
    if not weights:
        raise ModelError(f"peft={adapter}: its file holds no tensor. Save the adapter again")
    return config, weights


def refuse_not_finite(what: str, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Raise ModelError naming the first tensors that hold NaN or infinity."""
    broken = [name for name, tensor in tensors if not _is_finite(tensor)]
    if broken:
        raise ModelError(
            f"{what}: {len(broken)} tensors hold numbers that are not finite, for example {', '.join(broken[:3])}. "
            "Its training diverged or its file is damaged; take an earlier checkpoint"
        )


def _is_finite(tensor: torch.Tensor) -> bool:
    if tensor.is_meta or tensor.numel() == 0 or not (tensor.is_floating_point() and tensor.element_size() > 1):
        return True
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor.detach()))).all())  # no mask as large as the tensor


def _refuse_offloaded(model: Any, adapter: str) -> None:
    places = set((getattr(model, "hf_device_map", None) or {}).values())
    if len(places) > 1 and places & {"cpu", "disk"}:
        raise ModelError(
            f"peft={adapter}: device_map left parts of the model on {' and '.join(sorted(places & {'cpu', 'disk'}))}, where no "
            "adapter can be attached. Merge it first (finer merge), or use a smaller dtype or load_in_4bit=True"
        )


def _refuse_unusable(config: Any, adapter: str) -> None:
    """Refuse what peft would load without a word and compute with as if it were not there, and scales that are no number."""
    where = f"peft={adapter}: its adapter_config.json"
    if not isinstance(config.base_model_name_or_path, (str, type(None))):
        raise ModelError(f"{where} has base_model_name_or_path={config.base_model_name_or_path!r}. Give the base's name there")
    if getattr(config, "alora_invocation_tokens", None):
        raise ModelError(
            f"{where} has alora_invocation_tokens: an activated LoRA works only behind those tokens, which the tasks do not "
            "write, so that the base would be scored. Give a plain LoRA"
        )
    scales = {"lora_alpha": getattr(config, "lora_alpha", None), **(getattr(config, "alpha_pattern", None) or {})}
    if broken := [name for name, scale in scales.items() if isinstance(scale, float) and not math.isfinite(scale)]:
        raise ModelError(f"{where} has the scale {scales[broken[0]]} for {broken[0]}, which is no number. Mend it")


def _refuse_changed_base(config: Any, adapter: str) -> None:
    start = getattr(config, "init_lora_weights", True)
    if isinstance(start, str) and start.startswith(_CHANGES_BASE):
        raise ModelError(
            f"peft={adapter}: its training began with init_lora_weights={start}, which took from the base's weights what "
            "cannot be computed again. Give the adapter as plain LoRA: LLaMA-Factory leaves it in pissa_converted, and peft's "
            "save_pretrained writes it with path_initial_model_for_weight_conversion"
        )


def _refuse_another_language_model(config: Any, adapter: str, base: str, weights: Mapping[str, Any]) -> None:
    """LLaVA's authors also train projector and LoRA together on a plain language model: LLaVA's own has other weights."""
    named = str(config.base_model_name_or_path or "")
    if not any("mm_projector" in key for key in weights) or "llava" in named.lower() or Path(named).name == Path(base).name:
        return
    raise ModelError(
        f"peft={adapter}: it was trained on {named or 'a base that it does not name'}, which is no LLaVA, and the language "
        f"model of {base} has other weights. Merge it with the authors' merge_lora_weights.py and convert the result for "
        f"transformers. If {base} does hold the weights that it was trained on, write {Path(base).name} into "
        "base_model_name_or_path of its adapter_config.json"
    )


def _prefix(config: Any, adapter: str) -> str:
    """What begins the adapter's own names, such as `lora_`."""
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(config.peft_type)
    if config.is_prompt_learning or not prefix:
        raise ModelError(f"peft={adapter}: {config.peft_type.value} is no adapter of layers; finer_hf takes LoRA and its kin")
    return str(prefix)


def _enlarge_vocabulary(model: Any, placed: Mapping[str, torch.Tensor]) -> None:
    """Give the model as many embeddings as an adapter with added tokens brings."""
    embeddings = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is embeddings)
    for ending in ("weight", "base_layer.weight"):
        brought = placed.get(f"{PEFT}{name}.{ending}")
        if brought is not None and len(brought) > embeddings.num_embeddings:
            model.resize_token_embeddings(len(brought), mean_resizing=False)


def _narrow(config: Any, modules: set[str]) -> bool:
    """Target the modules that the file has weights of, by their names of today, and no others; False where it cannot be."""
    if not modules or getattr(config, "target_parameters", None):
        return False
    config.target_modules = modules
    for field in ("layers_to_transform", "layers_pattern", "exclude_modules"):
        if getattr(config, field, None) is not None:
            setattr(config, field, None)
    return True


def _refuse_integers(adapter: str, placed: Mapping[str, torch.Tensor]) -> None:
    broken = sorted(name for name, tensor in placed.items() if not tensor.is_floating_point())
    if broken:
        raise ModelError(
            f"peft={adapter}: {len(broken)} tensors hold integers, for example {broken[0]} ({placed[broken[0]].dtype}). "
            "Save the adapter unquantized, in float32, float16 or bfloat16"
        )


def _rename_patterns(config: Any, adapter: str, names: Names, modules: set[str]) -> None:
    """Bring ranks and scales of single modules to the names of today: peft would leave out those that fit no module."""
    for field in ("rank_pattern", "alpha_pattern"):
        renamed = {}
        for pattern, value in (getattr(config, field, None) or {}).items():
            today = pattern if _fits_any(pattern, modules) else names.module(pattern)
            if today is None and not _fits_any(pattern, names.modules):
                raise ModelError(
                    f"peft={adapter}: {field} of its adapter_config.json is for {pattern!r}, which is no part of this model. "
                    "Give the base model that it was trained on"
                )
            renamed[today or pattern] = value
        setattr(config, field, renamed)


def _fits_any(pattern: str, modules: Iterable[str]) -> bool:
    """Whether peft finds the pattern in a module's name."""
    from peft.utils.other import get_pattern_key

    try:
        return any(get_pattern_key([pattern], module) == pattern for module in modules)
    except re.error:
        return False


def _inject(model: Any, config: Any, placed: dict[str, torch.Tensor]) -> tuple[Any, list[str], list[str]]:
    """The model with the adapter's layers, what of it got no tensor, and what of `placed` found no place in it."""
    from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftModel, set_peft_model_state_dict

    config.inference_mode = True
    attached = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)(model, config)
    result: Any = set_peft_model_state_dict(attached, placed)
    return attached, list(result.missing_keys), list(result.unexpected_keys)


def _no_fit(adapter: str, total: int, lost: list[str], names: Names, cause: str = "") -> str:
    if lost:
        pairs = "; ".join(f"{key} (nearest in the model: {names.nearest(key)})" for key in sorted(lost)[:3])
        cause = f"{len(lost)} of its {total} tensors belong nowhere in it, for example {pairs}"
    return (
        f"peft={adapter}: not an adapter of this model: {cause}. "
        "Give the base model that it was trained on, named in its adapter_config.json"
    )
