"""The built-in miniature dataset: small pictures rendered from a seed, with exact attributes.

It has the shape of the real datasets (three levels, train and test splits, siblings that differ
in one or two visible attributes), so that every part of the project runs without a download.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.datasets.mini.art import render
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import Concept, load_taxonomy

SEED = 2024
IMAGE_SIZE = 64
IMAGES_PER_CLASS = {"train": 48, "test": 10}
CLASSES = 64
OFFICIAL = {"train": 64 * IMAGES_PER_CLASS["train"], "test": 64 * IMAGES_PER_CLASS["test"]}
SOURCE = f"mini 1.0 seed {SEED}"

# How a part is worded when it is drawn and when it is absent.
PHRASES = {
    "crest": ("{} crest", "no crest"),
    "stripe": ("{} side stripe", "no side stripe"),
    "windows": ("{} windows", "no windows"),
    "spots": ("{} spots", "no spots"),
    "collar": ("{} collar", "no collar"),
    "roof": ("{} roof", "no roof"),
    "ears": ("{} ears", "no ears"),
    "rims": ("{} wheel rims", "no wheel rims"),
}


@dataclass(frozen=True)
class MiniConcept:
    """A drawable concept: shape, the colour of every part, and which parts tell siblings apart."""

    name: str
    concept: Concept
    shape: str
    parts: Mapping[str, str]
    discriminative: tuple[str, ...]

    def attributes(self) -> dict[str, list[str]]:
        """Required attributes (those in which siblings differ) and likely ones (shared), as phrases."""
        required = [phrase(part, self.parts[part]) for part in self.discriminative]
        likely = [phrase(part, value) for part, value in self.parts.items() if part not in self.discriminative]
        return {"required": required, "likely": likely}


def phrase(part: str, value: str) -> str:
    """One attribute in words, for example ("crest", "none") -> "no crest"."""
    present, absent = PHRASES.get(part, (f"{{}} {part}", f"no {part}"))
    return absent if value == "none" else present.format(value)


def mini_concepts() -> list[MiniConcept]:
    """All 64 concepts in the order of the taxonomy file."""
    taxonomy = load_taxonomy("mini")
    return [
        MiniConcept(name, taxonomy.classes[name], group["shape"], group["common"] | entry["parts"], tuple(entry["parts"]))
        for group in taxonomy.raw["groups"]
        for name, entry in group["classes"].items()
    ]


def locate(root: Path) -> Path:
    """The folder itself: mini has no layout of others to look for."""
    return root


def concepts(root: Path) -> dict[str, Concept]:
    """All concepts by name."""
    return dict(load_taxonomy("mini").classes)


def write_images(root: Path) -> None:
    """Render both splits below `root` as BMP files (uncompressed, so that bytes depend on no library)."""
    for split, count in IMAGES_PER_CLASS.items():
        for concept in mini_concepts():
            folder = root / split / concept.concept.concept_id
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                rng = random.Random(f"{SEED}/{split}/{concept.concept.concept_id}/{index}")
                render(concept.shape, dict(concept.parts), rng, IMAGE_SIZE).save(folder / f"{index:03d}.bmp")


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of a folder that `write_images` made."""
    for split in splits:
        count = IMAGES_PER_CLASS[split]
        for concept in mini_concepts():
            for index in range(count):
                relative = f"{split}/{concept.concept.concept_id}/{index:03d}.bmp"
                identity = f"mini/{relative.removesuffix('.bmp')}"
                yield FinerRecord.of(concept.concept, identity, relative, concept.name, SOURCE)


def contact_sheet(size: int = 96) -> object:
    """A PIL image of all 64 concepts, siblings below one another, for documentation."""
    from PIL import Image

    everything = mini_concepts()
    sheet = Image.new("RGB", (16 * size, 4 * size))
    for index, concept in enumerate(everything):
        picture = render(concept.shape, dict(concept.parts), random.Random(concept.name), size)
        sheet.paste(picture, (index // 4 * size, index % 4 * size))
    return sheet
