"""The features of a batch of images at chosen points, as the model itself computes them while it reads the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import nn

from finer_tasks.probe.points import USED, Path, Tap

# What is taken where: `encoder.<layer>`, `encoder.used`, `projector`, `language.<layer>`, and the encoder's own output.
_OUTPUT = "encoder"


class _Enough(Exception):
    """No error: it ends a forward pass of which the rest is not needed."""


class Watch:
    """Takes what passes chosen points in one forward pass, which ends at the last of them."""

    def __init__(self, model: Any, path: Path, taps: Sequence[Tap]) -> None:
        self._model, self._path, self._taps = model, path, taps
        self._sources = {tap.source for tap in taps} | ({_OUTPUT} if any(_is_used_cls(tap) for tap in taps) else set())
        self._seen: dict[str, Any] = {}

    @torch.inference_mode()
    def features(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
        """By point: float32 of shape (images, width), with attention pooling (images, positions, width).

        None where a batch of several images cannot be told apart in the encoder, as where images are cut into tiles.
        """
        self._seen.clear()
        with ExitStack() as hooks:
            for handle in self._hooked():
                hooks.callback(handle.remove)
            hooks.enter_context(suppress(_Enough))
            self._model(**inputs, use_cache=False)
        shown = inputs["input_ids"] == self._path.image_token
        if len(shown) > 1 and not self._is_one_row_an_image(shown):
            return None
        return {tap.name: self._pooled(tap, shown).float() for tap in self._taps}

    def _hooked(self) -> list[Any]:
        """Handles of hooks on the modules of all points, and on the one where the pass may end."""
        path, handles = self._path, []
        last = max((tap.layer or 0 for tap in self._taps if tap.place == "language"), default=None)
        for source in sorted(self._sources):
            place, _, layer = source.partition(".")
            if source == _OUTPUT:
                handles.append(path.encoder.register_forward_hook(self._taking(source)))
            elif source == USED:
                handles.append(path.projector.register_forward_pre_hook(self._entering(source), with_kwargs=True))
            elif layer:
                blocks = path.encoder_blocks if place == "encoder" else path.language_blocks
                handles.append(self._at_block(blocks, int(layer), source))
        # The projector is always seen: it shows whether each image is one row.
        handles.append(path.projector.register_forward_hook(self._taking("projector")))
        end = path.projector if last is None else path.language_blocks[max(last - 1, 0)]
        if last == 0:
            handles.append(end.register_forward_pre_hook(_stop))
        else:
            handles.append(end.register_forward_hook(_stop))
        return handles

    def _at_block(self, blocks: Sequence[nn.Module], layer: int, source: str) -> Any:
        if layer == 0:
            return blocks[0].register_forward_pre_hook(self._entering(source), with_kwargs=True)
        return blocks[layer - 1].register_forward_hook(self._taking(source))

    def _taking(self, source: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _arguments: Any, output: Any) -> None:
            self._seen[source] = output[0] if isinstance(output, tuple) else output

        return hook

    def _entering(self, source: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
            self._seen[source] = arguments[0] if arguments else next(iter(named.values()))

        return hook

    def _is_one_row_an_image(self, shown: torch.Tensor) -> bool:
        rows = [value for source, value in self._seen.items() if source != _OUTPUT]
        as_many = len(shown.sum(1).unique()) == 1
        return as_many and all(value.ndim > 2 and len(value) == len(shown) for value in rows)

    def _pooled(self, tap: Tap, shown: torch.Tensor) -> torch.Tensor:
        if _is_used_cls(tap):
            return self._used_classes(len(shown))
        values = self._seen[tap.source]
        if tap.place == "language":
            return _of_language(values, tap, shown)
        positions = _by_image(values, len(shown))
        if tap.layer is not None and self._path.prefix:
            tiles = values.reshape(-1, *values.shape[-2:])
            if tap.pooling == "cls":
                return _by_image(tiles[:, :1], len(shown)).float().mean(1)
            positions = _by_image(tiles[:, self._path.prefix :], len(shown))
        return positions if tap.pooling == "attention" else positions.float().mean(1)

    def _used_classes(self, images: int) -> torch.Tensor:
        """The class token of each layer that the model takes, side by side, as its encoder hands it over."""
        output = self._seen[_OUTPUT]
        states = getattr(output, "hidden_states", None)
        layers = [output.last_hidden_state] if not states else [states[layer] for layer in self._path.used]
        tokens = torch.cat([layer[:, :1] for layer in layers], dim=-1)
        return _by_image(tokens, images).float().mean(1)


def _is_used_cls(tap: Tap) -> bool:
    return tap.source == USED and tap.pooling == "cls"


def _by_image(values: torch.Tensor, images: int) -> torch.Tensor:
    """Positions of shape (images, positions, width); all tiles of an image, and rows of a grid, in one row."""
    return values.reshape(images, -1, values.shape[-1])


def _of_language(values: torch.Tensor, tap: Tap, shown: torch.Tensor) -> torch.Tensor:
    if tap.pooling == "last":
        return values[:, -1]
    if tap.pooling == "mean":
        weights = shown.to(values.device).float()
        return torch.einsum("npw,np->nw", values.float(), weights) / weights.sum(1, keepdim=True)
    return torch.stack([row[here] for row, here in zip(values, shown.to(values.device), strict=True)])


def _stop(*_: Any) -> None:
    raise _Enough
