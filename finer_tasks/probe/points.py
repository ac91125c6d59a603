"""The points on the path of an image through a LLaVA-style model, by name, and the model's parts they lie in.

`encoder.<layer>` counts the blocks of the vision encoder, 0 being what enters the first; `encoder.used` is what the projector
takes, `projector` what it gives, `language.<layer>` what leaves a block of the language model. How one vector is made of those
of many positions ends the name: `mean` over the image's positions, `cls` where the encoder has such a token, `attention` learnt
with the probe, and `last`, the last position of the prompt, where the answer begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import nn

from finer_tasks.models.adapters import without_adapter
from finer_tasks.probe.results import Place, ProbeError

POOLINGS = ("mean", "cls", "attention", "last")
DEFAULT_POOLINGS = ("mean", "cls", "last")
USED = "encoder.used"
_NAME = re.compile(r"(encoder\.(?:used|\d+)|projector|language\.\d+)(?:\.(mean|cls|attention|last))?")
_OF_PLACE = {
    "encoder": ("mean", "cls", "attention"),
    "projector": ("mean", "attention"),
    "language": ("mean", "attention", "last"),
}
_PROJECTORS = ("multi_modal_projector", "connector", "merger")

Pooling = Literal["mean", "cls", "attention", "last"]


@dataclass(frozen=True)
class Path:
    """The parts of a model that an image goes through, in order.

    Attributes:
        encoder, projector: modules; encoder_blocks, language_blocks: their blocks in order.
        used: the blocks whose output the model takes, where its settings say so.
        prefix: positions of the encoder that are no patch, the first of which is the class token; 0 without one.
        takes_class_token: whether the projector gets that token beside the patches.
        image_token: the id that stands for a position of the image in the prompt.
    """

    encoder: nn.Module
    encoder_blocks: Sequence[nn.Module]
    projector: nn.Module
    language_blocks: Sequence[nn.Module]
    used: tuple[int, ...]
    prefix: int
    takes_class_token: bool
    image_token: int


@dataclass(frozen=True)
class Tap:
    """A point: where features are taken, and how they are pooled."""

    source: str
    pooling: Pooling

    @property
    def name(self) -> str:
        return f"{self.source}.{self.pooling}"

    @property
    def place(self) -> Place:
        return cast(Place, self.source.partition(".")[0])

    @property
    def layer(self) -> int | None:
        """The number of the block, where it is one."""
        number = self.source.partition(".")[2]
        return int(number) if number.isdecimal() else None


def path_of(model: Any, name: str) -> Path:
    """The parts of a model; raises ProbeError where it is not built of encoder, projector and language model."""
    whole = without_adapter(model)
    encoder, language = whole.get_encoder("image"), whole.get_decoder()
    found = [module for key, module in whole.named_modules() if key.rpartition(".")[2] in _PROJECTORS]
    config = whole.config
    token = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    if not found or token is None or encoder is whole or language is whole:
        raise ProbeError(
            f"pretrained={name}: a {config.model_type} has no projector between encoder and language model that is known here "
            f"(a part named {', '.join(_PROJECTORS)}). Give a model of the kind of LLaVA, Idefics3, InternVL or Qwen2.5-VL"
        )
    blocks, prefix = _blocks(encoder), _prefix(encoder)
    layers = getattr(config, "vision_feature_layer", None)
    chosen = [len(blocks)] if layers is None else [layers] if isinstance(layers, int) else list(layers)
    used = tuple(layer if layer >= 0 else len(blocks) + 1 + layer for layer in chosen)
    takes = bool(prefix) and getattr(config, "vision_feature_select_strategy", None) == "full"
    return Path(encoder, blocks, found[0], _blocks(language), used, prefix, takes, int(token))


def _blocks(part: nn.Module) -> Sequence[nn.Module]:
    """The longest list of modules in a part of a model, which its blocks are."""
    return max((list(module) for module in part.modules() if isinstance(module, nn.ModuleList)), key=len)


def _prefix(encoder: nn.Module) -> int:
    """Positions before the patches: the class token and registers after it."""
    own = {name.rpartition(".")[2] for name, _ in encoder.named_parameters()}
    if not own & {"class_embedding", "cls_token"}:
        return 0
    return 1 + int(getattr(encoder.config, "num_register_tokens", 0) or 0)


def choose_taps(path: Path, points: Sequence[str], poolings: Collection[str]) -> list[Tap]:
    """The points that are asked for in the order of the path, each by all poolings that it has, or by the one it names.

    Without any: half of the encoder's blocks, the used ones, the projector, and half and all of the language model's. Raises
    ProbeError for one that the model lacks.
    """
    _require_known(poolings)
    chosen: list[Tap] = []
    for name in points or _default(path):
        match = _NAME.fullmatch(name)
        if not match:
            raise ProbeError(
                f"--points {name}: no point of the path. Give encoder.<layer>, encoder.used, projector or language.<layer>, "
                f"each with or without its pooling ({', '.join(POOLINGS)})"
            )
        source, pooling = match.groups()
        _require_layer(path, source)
        there = _poolings_at(path, source)
        if pooling and pooling not in there:
            raise ProbeError(f"--points {name}: {source} has no {pooling} pooling in this model; it has {', '.join(there)}")
        taken = [pooling] if pooling else [one for one in there if one in poolings]
        if not taken:
            raise ProbeError(
                f"--pooling {','.join(poolings)}: {source} has none of them in this model; it has {', '.join(there)}"
            )
        chosen += [Tap(source, cast(Pooling, one)) for one in taken]
    return sorted(dict.fromkeys(chosen), key=lambda tap: (order_of(path, tap), POOLINGS.index(tap.pooling)))


def order_of(path: Path, tap: Tap) -> int:
    """Where a point stands on the path; the same for all poolings."""
    before = len(path.encoder_blocks) + 1
    if tap.place == "encoder":
        return tap.layer if tap.layer is not None else before
    return before + 1 if tap.place == "projector" else before + 2 + cast(int, tap.layer)


def _default(path: Path) -> list[str]:
    half, depth = len(path.encoder_blocks) // 2, len(path.language_blocks)
    encoder = [] if path.used == (half,) else [f"encoder.{half}"]
    return [*encoder, USED, "projector", *(f"language.{layer}" for layer in sorted({depth // 2, depth}))]


def _require_known(poolings: Collection[str]) -> None:
    for pooling in poolings:
        if pooling not in POOLINGS:
            raise ProbeError(f"--pooling {pooling}: no way of pooling. Give {', '.join(POOLINGS)}")


def _require_layer(path: Path, source: str) -> None:
    layer, place = Tap(source, "mean").layer, source.partition(".")[0]
    most = len(path.encoder_blocks if place == "encoder" else path.language_blocks)
    if layer is not None and layer > most:
        raise ProbeError(f"--points {source}: the {place} of this model has {most} layers. Give 0 to {most}")


def _poolings_at(path: Path, source: str) -> list[str]:
    place = source.partition(".")[0]
    return [pooling for pooling in _OF_PLACE[place] if pooling != "cls" or path.prefix]
