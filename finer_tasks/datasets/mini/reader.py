"""The built-in miniature dataset: small pictures rendered from a seed, with exact attributes.

It has the shape of the real datasets (three levels, train and test splits, siblings that differ
in one or two visible attributes), so that every part of the project runs without a download.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finer_tasks.datasets.boxes import Boxes
from finer_tasks.datasets.reader import ExactAttributes, Origin, Reader
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord
from finer_tasks.datasets.taxonomy import load_taxonomy

SEED = 2024
IMAGE_SIZE = 64
IMAGES_PER_CLASS = {"train": 48, "test": 10}
CLASSES = 64
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

    def attributes(self) -> ExactAttributes:
        """Required attributes (those in which siblings differ) and likely ones (shared), as phrases."""
        required = tuple(phrase(part, self.parts[part]) for part in self.discriminative)
        likely = tuple(phrase(part, value) for part, value in self.parts.items() if part not in self.discriminative)
        return ExactAttributes(self.concept.concept_id, self.name, required, likely)


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


def write_images(root: Path) -> None:
    """Render both splits below `root` as BMP files (uncompressed, so that bytes depend on no library)."""
    from finer_tasks.datasets.mini.art import render

    for split in IMAGES_PER_CLASS:
        for concept, image_id, rng in _pictures(split):
            path = root / split / f"{image_id}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            render(concept.shape, dict(concept.parts), rng, IMAGE_SIZE).save(path)


def boxes(root: Path, split: str) -> Boxes:
    """Where the objects were drawn."""
    from finer_tasks.datasets.mini.art import extent

    return {
        f"{split}/{image_id}.bmp": (extent(concept.shape, dict(concept.parts), rng, IMAGE_SIZE),)
        for concept, image_id, rng in _pictures(split)
    }


def _pictures(split: str) -> Iterator[tuple[MiniConcept, str, random.Random]]:
    """The concept of each picture, its id, and what its pose and surroundings are drawn from."""
    for concept in mini_concepts():
        name = concept.concept.concept_id
        for index in range(IMAGES_PER_CLASS[split]):
            yield concept, f"{name}/{index:03d}", random.Random(f"{SEED}/{split}/{name}/{index}")


def read(root: Path, splits: tuple[str, ...] = SPLITS) -> Iterator[FinerRecord]:
    """The records of a folder that `write_images` made."""
    for split in splits:
        for concept, image_id, _ in _pictures(split):
            yield FinerRecord.of(
                concept.concept, "mini", split, image_id,
                image=f"{split}/{image_id}.bmp", class_id=concept.name, source=SOURCE,
            )  # fmt: skip


def exact_attributes() -> list[ExactAttributes]:
    """The attributes by which every concept is drawn."""
    return [concept.attributes() for concept in mini_concepts()]


READER = Reader(
    name="mini",
    source=SOURCE,
    classes=CLASSES,
    official={split: CLASSES * count for split, count in IMAGES_PER_CLASS.items()},
    origin=Origin(
        title="mini, the built-in miniature",
        home="rendered by this package",
        terms="Apache-2.0",
        root="none; it is rendered when first used",
    ),
    locate=locate,
    read=read,
    fingerprints={"train": "64aa0e36f2501559", "test": "d2f8843861bed52a"},
    near_bits=4,  # drawn images are more alike than photographs
    render=write_images,
    exact_attributes=exact_attributes,
    boxes=boxes,
)
