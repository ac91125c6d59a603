"""The images of mini as a tensor, and how a training step varies them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.record import FinerRecord


@dataclass(frozen=True)
class Split:
    """The images of a split as a uint8 tensor of shape (images, 3, 64, 64), and their records."""

    pixels: torch.Tensor
    records: list[FinerRecord]


def load_split(split: str) -> Split:
    """One split of mini, rendered afresh."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        mini.write_images(root)
        records = [record for record in mini.read(root) if record.split == split]
        arrays = [np.asarray(Image.open(root / record.image)) for record in records]
    return Split(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2), records)


def augment(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror half of a uint8 batch, shift it by up to 4 pixels, and scale it to -1…1."""
    batch = pixels.float() / 127.5 - 1
    mirrored = torch.rand(len(batch), generator=generator) < 0.5
    batch[mirrored] = batch[mirrored].flip(-1)
    dx, dy = (int(torch.randint(-4, 5, (1,), generator=generator)) for _ in range(2))
    padded = functional.pad(batch, (4, 4, 4, 4), mode="replicate")
    side = mini.IMAGE_SIZE
    return padded[:, :, 4 + dy : 4 + dy + side, 4 + dx : 4 + dx + side]
