"""The plan of the paper in miniature, read from a recipe like any other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from finer_tasks.training.recipe import STRICT, Seed
from finer_tasks.training.tiny_llava.stages import Schedule


@dataclass(frozen=True, config=STRICT)
class Plan:
    """What `finer reproduce mini` does.

    held_out: the superordinate that neither mixture shows. tuning_seeds: one run for each and for
    each mixture, the base model being the same. per_concept and detail: as in a mixture recipe.
    max_new_tokens: a shorter limit on replies than the tasks'.
    documents: the first so many of each task, None for all.
    The remaining fields are those of a training recipe, equal for both mixtures.
    """

    vision: Schedule
    language: Schedule
    projector: Schedule
    held_out: Literal["Bird", "Airplane", "Car", "Dog"]
    tuning_seeds: tuple[Seed, ...] = Field(min_length=1)
    tuning_steps: int = Field(ge=1)
    seed: Seed = 0
    per_concept: int | None = Field(default=None, ge=1)
    detail: Literal["few", "required", "required_and_likely"] = "required"
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    projector_learning_rate: float = Field(default=1e-3, gt=0)
    global_batch_size: int = Field(default=32, ge=1)
    documents: int | None = Field(default=None, ge=1)
    max_new_tokens: int | None = Field(default=None, ge=1)
