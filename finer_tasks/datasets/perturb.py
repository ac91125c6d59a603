"""Perturbed images: what models see where FINER_PERTURB names a perturbation and its severity.

The same document is perturbed alike in every task, process and batch: places are drawn from its id and the seed alone.
A more severe occlusion covers what a lesser one does, and a more severe crop lies within a lesser one.
"""

from __future__ import annotations

import io
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageFilter, ImageStat

from finer_tasks.datasets.boxes import Box, Boxes
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import FinerError

VARIABLE = "FINER_PERTURB"
# Raised where a perturbation gives other pixels than before.
VERSION = 1
SEVERITIES = (1, 2, 3, 4, 5)
_GRAY = (127, 127, 127)


class PerturbationError(FinerError):
    """A perturbation is unknown, or set where images must be as they are published."""


@dataclass(frozen=True)
class _Scene:
    """What a perturbation may know of an image: its objects, and two numbers from 0 to 1 that say where."""

    objects: tuple[Box, ...]
    across: float
    down: float

    def window(self, box: Box, share: float) -> tuple[int, int, int, int]:
        """A rectangle of this share of a box's area, in the box's proportions; a larger one holds each smaller one."""
        side = math.sqrt(share)
        left = box.left + self.across * (1 - side) * (box.right - box.left)
        top = box.top + self.down * (1 - side) * (box.bottom - box.top)
        right, bottom = left + side * (box.right - box.left), top + side * (box.bottom - box.top)
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


@dataclass(frozen=True)
class Kind:
    """A way to perturb: what it does, its amount at each severity, and how; `placed` if it depends on boxes."""

    name: str
    what: str
    amounts: tuple[float, ...]
    apply: Callable[[Image.Image, float, _Scene], Image.Image]
    placed: bool = False


def _occlude(image: Image.Image, share: float, scene: _Scene) -> Image.Image:
    covered = image.copy()
    for box in scene.objects:
        covered.paste(_GRAY, scene.window(box, share))
    return covered


def _crop(image: Image.Image, share: float, scene: _Scene) -> Image.Image:
    left, top, right, bottom = scene.window(Box(0, 0, *image.size), share)
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))


def _blur(image: Image.Image, share: float, scene: _Scene) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def _lower_resolution(image: Image.Image, share: float, scene: _Scene) -> Image.Image:
    small = max(1, round(image.width * share)), max(1, round(image.height * share))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)


def _jpeg(image: Image.Image, quality: float, scene: _Scene) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=round(quality), subsampling="4:2:0")
    return Image.open(buffer).convert("RGB")


def _brightness(image: Image.Image, gain: float, scene: _Scene) -> Image.Image:
    return image.point([min(255, round(value * gain)) for value in range(256)] * 3)


def _contrast(image: Image.Image, share: float, scene: _Scene) -> Image.Image:
    middle = ImageStat.Stat(image.convert("L")).mean[0]
    return image.point([min(255, max(0, round(middle + (value - middle) * share))) for value in range(256)] * 3)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("occlusion", "a gray patch hides {:.0%} of each object's box", (0.1, 0.2, 0.35, 0.5, 0.7), _occlude, placed=True),
        Kind("crop", "a window of {:.0%} of the image is left, somewhere in it", (0.8, 0.6, 0.45, 0.3, 0.2), _crop),
        Kind("blur", "Gaussian blur, deviation {:.1%} of the shorter side", (0.005, 0.01, 0.02, 0.03, 0.05), _blur),
        Kind("resolution", "shrunk to {:.1%} of width and height, and enlarged", (0.5, 0.25, 0.125, 0.0833, 0.0625),
             _lower_resolution),
        Kind("jpeg", "JPEG of quality {:.0f}", (30, 20, 12, 8, 5), _jpeg),
        Kind("dark", "brightness times {:g}", (0.6, 0.4, 0.25, 0.15, 0.1), _brightness),
        Kind("bright", "brightness times {:g}, clipped at white", (1.3, 1.7, 2.2, 3, 4), _brightness),
        Kind("contrast", "contrast times {:g}", (0.6, 0.4, 0.25, 0.15, 0.1), _contrast),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Perturbation:
    """One perturbation at one severity; the seed chooses places."""

    name: str
    severity: int
    seed: int = 0

    def __str__(self) -> str:
        """As FINER_PERTURB is written."""
        return f"{self.name}:{self.severity}" + (f":{self.seed}" if self.seed else "")

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def amount(self) -> float:
        return self.kind.amounts[self.severity - 1]

    def of(self, image: Image.Image, identity: str, boxes: Sequence[Box]) -> Image.Image:
        """The image of a document as a model sees it; without a box, the whole image counts as the object."""
        draw = random.Random(f"{self.name}/{self.seed}/{identity}")
        objects = tuple(clipped for box in boxes if (clipped := _clipped(box, image.size))) or (Box(0, 0, *image.size),)
        return self.kind.apply(image, self.amount, _Scene(objects, draw.random(), draw.random()))


def _clipped(box: Box, size: tuple[int, int]) -> Box | None:
    width, height = size
    found = Box(max(0, box.left), max(0, box.top), min(width, box.right), min(height, box.bottom))
    return found if found.left < found.right and found.top < found.bottom else None


@cache
def parse(text: str) -> Perturbation:
    """`NAME:SEVERITY` or `NAME:SEVERITY:SEED`; raises PerturbationError, which lists the names."""
    name, *numbers = text.strip().split(":")
    if name not in KINDS or len(numbers) not in (1, 2) or not all(part.isascii() and part.isdecimal() for part in numbers):
        raise PerturbationError(
            f"{VARIABLE}: {text!r:.80} is no perturbation. Write NAME:SEVERITY, as in occlusion:3, with :SEED after it for "
            f"other places; names are {', '.join(KINDS)}"
        )
    severity, seed = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0
    if severity not in SEVERITIES:
        raise PerturbationError(
            f"{VARIABLE}: {text!r:.80}: severities are {SEVERITIES[0]} to {SEVERITIES[-1]}. "
            f"Unset {VARIABLE} for images as published"
        )
    return Perturbation(name, severity, seed)


def active_perturbation() -> Perturbation | None:
    """The one that FINER_PERTURB names, None where it is empty; raises PerturbationError."""
    text = os.environ.get(VARIABLE)
    return parse(text) if text else None


def require_as_published(what: str) -> None:
    """Raise PerturbationError where FINER_PERTURB is set for what takes images as they are published."""
    if perturbation := active_perturbation():
        raise PerturbationError(f"{VARIABLE} is {perturbation}, but {what} needs images as they are published. Unset it")


@cache
def boxes_of(prepared: Prepared, split: str) -> Boxes:
    """The boxes of a split's images, empty where its authors publish none or this copy lacks them."""
    find = get_reader(prepared.manifest.dataset).boxes
    manifest = prepared.manifest
    return find(Path(manifest.root), split) if find and not manifest.copy else {}  # a copy has no official lists
