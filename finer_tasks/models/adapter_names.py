"""Where the tensors of an adapter's file belong in a model whose parts may have other names today.

A tensor is named by what wrapped the model while it was trained, the part's path, and the adapter's
own ending: `module.` `base_model.model.` | `language_model.model.layers.0.mlp.up_proj` | `lora_A.weight`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

PEFT = "base_model.model."
# Left in names by data parallel training, FSDP, torch.compile and activation checkpointing.
_WRAPPERS = re.compile(r"(?:^(?:module\.)+|_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.)")
_MODULES_TO_SAVE = re.compile(r"modules_to_save\.[^.]+\.")
# The projector's layers in the authors' LLaVA and in transformers.
_LLAVA_PROJECTOR = {"mm_projector.0": "multi_modal_projector.linear_1", "mm_projector.2": "multi_modal_projector.linear_2"}


class Names:
    """The names of a model's modules and tensors, and how older versions and other trainers call them."""

    def __init__(self, model: Any) -> None:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightRenaming

        self.modules: set[str] = {name for name, _ in model.named_modules()}
        self._tensors: set[str] = set(model.state_dict())
        self._renamings = [entry for entry in get_model_conversion_mapping(model) if isinstance(entry, WeightRenaming)]
        decoder = model.get_decoder()
        language = next((name for name, module in model.named_modules() if module is decoder), "")
        self._language = [root for root in (language, language.rpartition(".")[0]) if root]

    def place(self, weights: Mapping[str, torch.Tensor], prefix: str) -> tuple[dict[str, torch.Tensor], list[str]]:
        """The tensors under the names that peft gives them in this model, and the names of those that belong nowhere.

        `prefix` begins what the adapter adds to a module, such as `lora_`. What belongs nowhere keeps its name.
        """
        placed: dict[str, torch.Tensor] = {}
        nowhere = []
        for key, tensor in weights.items():
            name = self._today(key, prefix)
            if name is None or name in placed:
                nowhere.append(key)
            placed[name if name is not None else key] = tensor
        return placed, nowhere

    def module(self, path: str) -> str | None:
        """What a module is called today, None if it is no part of the model."""
        bare = _split(path, "lora_")[0]
        return next((name for name in self._candidates(bare) if name in self.modules), None)

    def nearest(self, key: str) -> str:
        """The module or tensor of the model whose name shares the longest ending with `key`."""
        path = _split(key, "lora_")[0].split(".")
        return max(sorted(self.modules | self._tensors), key=lambda name: _shared_ending(name.split("."), path))

    def _today(self, key: str, prefix: str) -> str | None:
        path, ending = _split(key, prefix)
        known = self.modules if ending else self._tensors
        found = next((name for name in self._candidates(path) if name in known), None)
        return None if found is None else PEFT + ".".join(filter(None, (found, ending)))

    def _candidates(self, path: str) -> Iterator[str]:
        """Names under which a part may be known today, the most literal first."""
        yield path
        yield self._renamed(path)
        for old, new in _LLAVA_PROJECTOR.items():
            if old in path:
                yield self._renamed(new + path.partition(old)[2])
        for root in self._language:  # a trainer that saw the language model alone
            yield f"{root}.{path.removeprefix('model.')}"
            yield f"{root}.{path}"

    def _renamed(self, path: str) -> str:
        """The path as transformers renames it when it loads a checkpoint of an older version."""
        from transformers.core_model_loading import rename_source_key

        return str(rename_source_key(f"{path}.weight", self._renamings, [])[0]).removesuffix(".weight")


def _split(key: str, prefix: str) -> tuple[str, str]:
    """Path and ending of a tensor's name, without the adapter's own name, which raw state dicts have in it.

    There is no ending where the tensor is a whole weight of the model.
    """
    bare = _WRAPPERS.sub("", _WRAPPERS.sub("", key).removeprefix(PEFT))
    path, dot, rest = bare.partition(f".{prefix}")
    if dot:
        kind, *more = rest.split(".")
        return path, ".".join([prefix + kind, *(more[-1:] if more[-1:] in (["weight"], ["bias"]) else [])])
    for wrapped in ("base_layer", "token_adapter"):
        path, dot, rest = bare.partition(f".{wrapped}.")
        if dot:
            return path, f"{wrapped}.{rest}"
    return _MODULES_TO_SAVE.sub("", bare), ""


def _shared_ending(one: list[str], other: list[str]) -> int:
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(reversed(one), reversed(other), strict=False))))


def modules_of(names: Iterable[str], prefix: str) -> set[str]:
    """The modules that an adapter's placed tensors belong to."""
    return {name.removeprefix(PEFT).partition(f".{prefix}")[0] for name in names if f".{prefix}" in name}
