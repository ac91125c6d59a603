"""What a frozen vision encoder makes of an image, kept on disk by its pixels, so that no image is encoded twice.

    FOLDER/<encoder and layers>/…/<hash of the pixels>.npy    float32, shape (layers, tokens, width), and a checksum behind it

Several processes may use a folder at once. It helps where the same images are seen many times, as in several epochs of
tuning, or in the evaluation of several adapters.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from transformers.modeling_outputs import BaseModelOutputWithPooling

from finer_tasks.errors import ModelError
from finer_tasks.writing import write_bytes

_DIGEST = 16  # bytes of the checksum


def cache_encoder(model: Any, folder: Path) -> None:
    """Let the vision encoder of a LLaVA take from `folder` what is there, and put there what is not.

    Raises ModelError for other architectures. The encoder must stay frozen: no gradient passes it any more.
    """
    inner = getattr(model, "model", None)
    tower = getattr(inner, "vision_tower", None)
    layers = getattr(model.config, "vision_feature_layer", None)
    if tower is None or layers is None:
        raise ModelError(f"encoder_cache is for models built as LLaVA, and this is a {model.config.model_type}; leave it out")
    used = [layers] if isinstance(layers, int) else list(layers)
    tower.requires_grad_(False)
    tower.forward = _Cached(tower.forward, folder / _fingerprint(tower, used), used)


class _Cached:
    """The forward pass of an encoder, for the layers that the model takes."""

    def __init__(self, encode: Callable[..., Any], folder: Path, layers: Sequence[int]) -> None:
        self._encode, self._folder, self._layers = encode, folder, layers

    def __call__(self, pixel_values: torch.Tensor, **options: Any) -> BaseModelOutputWithPooling:
        """Of pixels of shape (images, 3, height, width); the output holds the layers that the model takes, and nothing else."""
        pixels = pixel_values.detach().float().cpu().contiguous().numpy()
        paths = [self._path(xxhash.xxh3_128_hexdigest(image.tobytes())) for image in pixels]
        known = [_read(path) for path in paths]
        missing = [number for number, values in enumerate(known) if values is None]
        if missing:
            for number, values in zip(missing, self._computed(pixel_values[missing], options), strict=True):
                known[number] = values
                _write(paths[number], values)
        stacked = torch.from_numpy(np.stack([values for values in known if values is not None], axis=1))
        states = stacked.to(device=pixel_values.device, dtype=pixel_values.dtype)
        # By layer as the model names it, which may count from the end; it asks for no other.
        return BaseModelOutputWithPooling(hidden_states=dict(zip(self._layers, states, strict=True)))  # type: ignore[arg-type]

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npy"

    @torch.no_grad()
    def _computed(self, pixel_values: torch.Tensor, options: dict[str, Any]) -> list[np.ndarray]:
        states = self._encode(pixel_values=pixel_values, **options).hidden_states
        return list(torch.stack([states[layer] for layer in self._layers], dim=1).float().cpu().numpy())


def _read(path: Path) -> np.ndarray | None:
    """The values, None where the file is absent or damaged: they are computed anew then."""
    with suppress(OSError):
        content = path.read_bytes()
        body, digest = content[:-_DIGEST], content[-_DIGEST:]
        if xxhash.xxh3_128_digest(body) == digest:
            values: np.ndarray = np.load(io.BytesIO(body))
            return values
    return None


def _write(path: Path, values: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, values)
    write_bytes(path, content.getvalue() + xxhash.xxh3_128_digest(content.getvalue()))


def _fingerprint(tower: Any, layers: Sequence[int]) -> str:
    """Of the weights, the dtype in which they compute, and the layers."""
    total = hashlib.sha256(repr((list(layers), str(tower.dtype))).encode())
    for name, tensor in sorted(tower.state_dict().items()):
        total.update(name.encode())
        total.update(xxhash.xxh3_128_digest(tensor.detach().float().cpu().contiguous().numpy().tobytes()))
    return total.hexdigest()[:16]
