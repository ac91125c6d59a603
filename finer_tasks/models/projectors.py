"""`finer_llava`: LLaVA with other projectors between vision encoder and language model; with "mlp2" it is LLaVA itself.

The processor is LLaVA's; it counts image tokens by its patch size alone, which `token_patch_size` gives for a projector
that changes their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForImageTextToText, LlavaConfig, LlavaForConditionalGeneration

from finer_tasks.errors import ModelError

MODEL_TYPE = "finer_llava"
LLAVA = "llava"
CLASS_TOKEN = "class_token"
# Of the resampler: a block attends to the patches once.
_BLOCKS = 2
_QUERY_SPREAD = 0.02


class FinerLlavaConfig(LlavaConfig):
    """LLaVA's, and which projector there is.

    projector: a name of PROJECTORS. projector_queries: image tokens that the resampler or class_token makes. Features of
    several layers of the encoder go in by LLaVA's own `vision_feature_layer` as a list.
    """

    model_type = MODEL_TYPE
    projector: str = "mlp2"
    projector_queries: int = 16


class FinerLlavaForConditionalGeneration(LlavaForConditionalGeneration):
    """LLaVA with the projector that its config names."""

    config: FinerLlavaConfig
    config_class = FinerLlavaConfig

    def __init__(self, config: FinerLlavaConfig) -> None:
        super().__init__(config)
        projector = self.model.multi_modal_projector = new_projector(config)
        for module in projector.modules():
            self._init_weights(module)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, Resampler):
            torch.nn.init.normal_(module.queries, std=_QUERY_SPREAD)


def new_projector(config: FinerLlavaConfig) -> nn.Module:
    """The projector of a config; raises ModelError for a name that is none."""
    make = PROJECTORS.get(config.projector)
    if make is None:
        raise ModelError(f"config.json: projector {config.projector!r} is unknown; known are {', '.join(PROJECTORS)}")
    return make(config)


def image_tokens(config: FinerLlavaConfig, patches: int) -> int:
    """How many image tokens the language model gets of so many patches."""
    if config.projector in ("resampler", CLASS_TOKEN):
        return config.projector_queries
    return patches // 4 if config.projector == "mlp2_pool2x2" else patches


def token_patch_size(config: FinerLlavaConfig, image_size: int, patch_size: int) -> int:
    """The patch size by which LLaVA's processor counts the projector's tokens of a square image; raises ModelError."""
    side = image_size // patch_size
    count = image_tokens(config, side * side)
    across = math.isqrt(count)
    if across * across != count or image_size % across or (config.projector == "mlp2_pool2x2" and side % 2):
        raise ModelError(
            f"projector {config.projector} makes {count} image tokens of {side} x {side} patches; LLaVA's processor counts "
            f"tokens in a square whose side divides {image_size} pixels. Choose another image size or number of queries"
        )
    return image_size // across


def _widths(config: Any) -> tuple[int, int]:
    layers = config.vision_feature_layer
    return config.vision_config.hidden_size * (1 if isinstance(layers, int) else len(layers)), config.text_config.hidden_size


class Mlp(nn.Module):
    """Linear layers with GELU between them."""

    def __init__(self, config: FinerLlavaConfig, depth: int) -> None:
        super().__init__()
        width, wide = _widths(config)
        self.layers = nn.ModuleList(nn.Linear(wide if number else width, wide) for number in range(depth))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (images, patches, encoder width) to (images, patches, language width)."""
        states: torch.Tensor = self.layers[0](patches)
        for layer in self.layers[1:]:
            states = layer(functional.gelu(states))
        return states


class PooledMlp(Mlp):
    """The mean of 2 x 2 patches, then an MLP: a quarter of the tokens."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (images, patches, encoder width) to (images, patches / 4, language width)."""
        images, count, width = patches.shape
        side = math.isqrt(count)
        grid = patches.transpose(1, 2).reshape(images, width, side, side)
        return super().forward(functional.avg_pool2d(grid, 2).flatten(2).transpose(1, 2))


class Resampler(nn.Module):
    """Learned queries that attend to the patches, as many tokens as queries."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, wide = _widths(config)
        self.queries = nn.Parameter(torch.empty(config.projector_queries, wide))
        self.enter = nn.Linear(width, wide)
        self.blocks = nn.ModuleList(_Block(wide, config.text_config.num_attention_heads) for _ in range(_BLOCKS))
        self.leave = nn.Linear(wide, wide)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (images, patches, encoder width) to (images, queries, language width)."""
        seen = self.enter(patches)
        states = self.queries.expand(len(patches), -1, -1)
        for block in self.blocks:
            states = block(states, seen)
        made: torch.Tensor = self.leave(states)
        return made


class ClassToken(nn.Module):
    """The encoder's token of the whole image and the mean of its patches, through an MLP to a few image tokens.

    What goes in is standardised by the mean and spread of the images trained on (`standardise`), for the features of an
    encoder differ in scale by orders of magnitude, and a few tokens have to carry all.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, wide = _widths(config)
        self.tokens = config.projector_queries
        self.register_buffer("mean", torch.zeros(2 * width))
        self.register_buffer("spread", torch.ones(2 * width))
        self.enter = nn.Linear(2 * width, self.tokens * wide)
        self.leave = nn.Linear(wide, wide)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (images, 1 + patches, encoder width) to (images, tokens, language width)."""
        states = self.enter((self.pooled(patches) - self.mean) / self.spread)
        made: torch.Tensor = self.leave(functional.gelu(states.unflatten(1, (self.tokens, -1))))
        return made

    def standardise(self, values: torch.Tensor) -> None:
        """Take mean and spread from what `pooled` gives of many images."""
        self.mean = values.mean(0)
        self.spread = values.std(0).clamp_min(1e-6)

    @staticmethod
    def pooled(patches: torch.Tensor) -> torch.Tensor:
        """Class token and mean patch side by side, shape (images, 2 * encoder width)."""
        return torch.cat([patches[:, 0], patches[:, 1:].mean(1)], dim=1)


class _Block(nn.Module):
    """Cross attention and an MLP, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_norm, self.seen_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, states: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        seen = self.seen_norm(seen)
        query, key, value = (
            layer(what).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, what in ((self.query, self.query_norm(states)), (self.key, seen), (self.value, seen))
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        states = states + self.out(attended.transpose(1, 2).flatten(2))
        after: torch.Tensor = states + self.narrow(functional.gelu(self.widen(self.mlp_norm(states))))
        return after


PROJECTORS: Mapping[str, Callable[[Any], nn.Module]] = {
    "linear": lambda config: Mlp(config, 1),
    "mlp2": lambda config: Mlp(config, 2),
    "mlp4": lambda config: Mlp(config, 4),
    "mlp2_pool2x2": lambda config: PooledMlp(config, 2),
    "resampler": Resampler,
    CLASS_TOKEN: ClassToken,
}


def register() -> None:
    """Make transformers' automatic classes know these models."""
    AutoConfig.register(MODEL_TYPE, FinerLlavaConfig, exist_ok=True)
    AutoModelForImageTextToText.register(FinerLlavaConfig, FinerLlavaForConditionalGeneration, exist_ok=True)
