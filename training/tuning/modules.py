"""The parts of a vision-language model: vision encoder, projector, language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from finer_tasks.training.errors import TrainingError

# The names that transformers' image-text-to-text models give their parts, the innermost name last.
_LANGUAGE = ("language_model", "text_model")
_PROJECTOR = ("multi_modal_projector", "connector", "language_projection", "merger", "mm_projector")
_VISION = ("vision_tower", "vision_model", "visual")


@dataclass(frozen=True)
class Parts:
    """Dotted names of the parts within a model."""

    language: str
    projector: str
    vision: str

    def lora_targets(self, model: nn.Module, with_projector: bool) -> str:
        """A regular expression for peft that matches the linear layers of the language model, its output layer left out."""
        roots = [self.language, *([self.projector] if with_projector else [])]
        patterns = []
        for root in roots:
            if isinstance(model.get_submodule(root), nn.Linear):  # BLIP-2's projector is a single layer
                patterns.append(re.escape(root))
                continue
            names = {
                name.rsplit(".", 1)[-1]
                for name, module in model.get_submodule(root).named_modules()
                if isinstance(module, nn.Linear) and not name.endswith("lm_head")
            }
            patterns.append(rf"{re.escape(root)}\.(?:.*\.)?(?:{'|'.join(sorted(map(re.escape, names)))})")
        return "|".join(patterns)


def parts_of(model: nn.Module) -> Parts:
    """The parts of a model; raises TrainingError naming the modules if one is not recognised."""
    names = [name for name, _ in model.named_modules() if name]
    return Parts(*(_outermost(names, known, model) for known in (_LANGUAGE, _PROJECTOR, _VISION)))


def _outermost(names: Sequence[str], known: tuple[str, ...], model: nn.Module) -> str:
    found = [name for name in names if name.rsplit(".", 1)[-1] in known]
    if not found:
        there = ", ".join(sorted({".".join(name.split(".")[:2]) for name in names}))
        raise TrainingError(f"{type(model).__name__}: no module named {' or '.join(known)}; its modules are {there}")
    return min(found, key=lambda name: (name.count("."), names.index(name)))


def attach_adapter(model: nn.Module, parts: Parts, lora: Any, projector: str) -> Any:
    """A LoRA adapter on the language model, everything else frozen but the projector where it is trained."""
    from peft import get_peft_model

    return get_peft_model(model, adapter_config(model, parts, lora, projector))


def adapter_config(model: nn.Module, parts: Parts, lora: Any, projector: str) -> Any:
    """What peft is told of that adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=parts.lora_targets(model, projector == "lora"),
        modules_to_save=[parts.projector.rsplit(".", 1)[-1]] if projector == "train" else None,
        task_type="CAUSAL_LM",
    )


def use_cache(model: Any, used: bool) -> None:
    """Whether a forward pass keeps keys and values; in training it must not, or packed conversations are not told apart."""
    for config in (model.config, model.config.get_text_config()):
        config.use_cache = used


def count_parameters(model: nn.Module, parts: Parts) -> dict[str, int]:
    """Parameters of the language model, the vision encoder and the adapter (whatever is trained)."""
    counted = {"language": 0, "vision": 0, "trained": 0}
    for name, parameter in model.named_parameters():
        size = parameter.numel() * (2 if parameter.__class__.__name__ == "Params4bit" else 1)
        counted["trained"] += size if parameter.requires_grad else 0
        for part in ("language", "vision"):
            if f"{getattr(parts, part)}." in name and "lora_" not in name:
                counted[part] += size
                break
    return counted
