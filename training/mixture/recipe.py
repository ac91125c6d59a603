"""What a mixture recipe holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from finer_tasks.datasets.record import dataset_of
from finer_tasks.training.errors import RecipeError
from finer_tasks.training.recipe import STRICT, Seed

Style = Literal["finer", "direct", "attributes"]


@dataclass(frozen=True, config=STRICT)
class DatasetShare:
    """How much of a prepared dataset's train split goes in: balanced over concepts, up to the caps.

    per_concept: most images of a concept. cap: most images in all, or of each superordinate
    where cap_by is superordinate (iNaturalist's supercategories).
    """

    per_concept: int | None = Field(default=None, ge=1)
    cap: int | None = Field(default=None, ge=1)
    cap_by: Literal["dataset", "superordinate"] = "dataset"


@dataclass(frozen=True, config=STRICT)
class HeldOut:
    """What must not be seen: whole datasets, and superordinates and concepts (dataset/concept_id) of the datasets that are in.

    shared_names: what to do with conversations that name a concept of a held-out dataset (CUB and
    NABirds share most species): drop them, or keep them and count.
    """

    datasets: tuple[str, ...] = ()
    superordinates: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    shared_names: Literal["drop", "keep"] = "drop"


@dataclass(frozen=True, config=STRICT)
class GeneralSet:
    """A general instruction set in LLaVA format (JSON list or JSONL), against forgetting."""

    file: Path
    images: Path
    samples: int | None = Field(default=None, ge=1)
    missing_images: Literal["error", "drop"] = "error"


@dataclass(frozen=True, config=STRICT)
class MixtureRecipe:
    """A mixture: style, datasets, what is held out, and the checks.

    style: finer (three turns: coarse label, attributes, fine label), direct (one turn, fine label) or
    attributes (the first two turns of finer). detail: which attributes are told: few (three of the
    required ones), required, or required_and_likely (the paper's second open question).
    near_duplicate_bits: how many of the 192 bits of two images' perceptual hashes differ at most for one to be left out; as
    the dataset's reader says if none is given.
    Recipes that differ in style or detail alone choose the same images. drop_broken: leave out and count what cannot be
    used (malformed entries of the general set, images that cannot be decoded) instead of refusing the whole.
    """

    FOLDER: ClassVar[str] = "mixture"

    name: str
    datasets: dict[str, DatasetShare | None]
    style: Style = "finer"
    detail: Literal["few", "required", "required_and_likely"] = "required"
    seed: Seed = 0
    held_out: HeldOut = Field(default_factory=HeldOut)
    near_duplicates: Literal["drop", "ignore"] = "drop"
    near_duplicate_bits: int | None = Field(default=None, ge=0, le=48)
    general: GeneralSet | None = None
    drop_broken: bool = False

    def check(self, known: tuple[str, ...]) -> None:
        """Raise RecipeError if a dataset is unknown or both in and held out."""
        for name in (*self.datasets, *self.held_out.datasets):
            if name not in known:
                raise RecipeError(f"unknown dataset {name!r} in the recipe {self.name}; known are {', '.join(known)}")
        if wrong := next((key for key in self.held_out.concepts if dataset_of(key) not in self.datasets), None):
            raise RecipeError(f"held-out concept {wrong!r}: give it as dataset/concept_id, of a dataset of the recipe")
        both = set(self.datasets) & set(self.held_out.datasets)
        if both:
            raise RecipeError(f"dataset {sorted(both)[0]!r} is both in the mixture and held out")
        if not self.datasets:
            raise RecipeError(f"the recipe {self.name} names no dataset")
