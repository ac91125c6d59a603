"""What the frozen encoder makes of the images, computed once for all arms and seeds and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import first_of_each
from finer_tasks.training.ablation.assembling import Parts
from finer_tasks.training.ablation.plan import AblationPlan
from finer_tasks.writing import replacing, write_text

_BATCH = 32


@dataclass(frozen=True)
class Features:
    """Documents of a split, and their patches by layer of the encoder: arrays of shape (images, patches, width)."""

    documents: Sequence[Mapping[str, Any]]
    by_layer: Mapping[int, np.ndarray[Any, np.dtype[np.float16]]]

    def of(self, layers: Sequence[int], rows: Sequence[int]) -> torch.Tensor:
        """Patches of some images in float32, layers side by side, shape (rows, patches, width of all layers)."""
        return torch.cat([torch.from_numpy(self.by_layer[layer][list(rows)]).float() for layer in layers], dim=-1)


def load_features(parts: Parts, prepared: Prepared, split: str, plan: AblationPlan, folder: Path) -> Features:
    """From `folder`, or encoded and written there."""
    documents = list(first_of_each(prepared.tables()[split], lambda document: document["concept_id"], plan.per_concept))
    layers = sorted({layer for arm in plan.arms for layer in plan.layers_of(arm)})
    if not folder.exists():
        with replacing(folder) as fresh:
            fresh.mkdir()
            _encode(parts, prepared, documents, layers, fresh)
    return Features(documents, {layer: np.load(folder / f"layer{layer}.npy", mmap_mode="r") for layer in layers})


@torch.inference_mode()
def _encode(
    parts: Parts, prepared: Prepared, documents: Sequence[Mapping[str, Any]], layers: Sequence[int], folder: Path
) -> None:
    shape = (len(documents), parts.encoder.patches, int(parts.encoder.module.config.hidden_size))
    arrays = {
        layer: np.lib.format.open_memmap(folder / f"layer{layer}.npy", mode="w+", dtype=np.float16, shape=shape)
        for layer in layers
    }
    for start in tqdm(range(0, len(documents), _BATCH), desc="encoding images", mininterval=5):
        images = [image_of(prepared, document) for document in documents[start : start + _BATCH]]
        pixels = parts.encoder.image_processor(images=images, return_tensors="pt")["pixel_values"]
        states = parts.encoder.module(pixel_values=pixels, output_hidden_states=True).hidden_states
        for layer, array in arrays.items():
            array[start : start + len(images)] = states[layer][:, int(parts.encoder.has_class_token) :].numpy()
    for array in arrays.values():
        array.flush()
    write_text(folder / "documents.json", json.dumps([document["id"] for document in documents]) + "\n")
