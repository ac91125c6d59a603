"""The plan of an ablation of the projector, read from a recipe like any other."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from finer_tasks.training.recipe import STRICT, Seed

Level = Literal["superordinate", "coarse", "fine"]
Arm = Literal["linear", "mlp2", "mlp4", "resampler", "mlp2_pool2x2", "mlp2_layers"]
# LLaVA-1.5's, with which the others are compared.
REFERENCE: Arm = "mlp2"


@dataclass(frozen=True, config=STRICT)
class Folders:
    """Encoder and language model as folders or hub names of transformers; images are square, `image_size` wide.

    image_mean, image_std: by which the encoder wants its pixels scaled, where its folder has no image processor that says so.
    """

    encoder: str
    language_model: str
    image_size: int = Field(default=224, ge=8)
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None

    @model_validator(mode="after")
    def _check(self) -> Folders:
        """Raise ValueError where only one of mean and std is given."""
        if (self.image_mean is None) != (self.image_std is None):
            raise ValueError("give image_mean and image_std together")
        return self


@dataclass(frozen=True, config=STRICT)
class AblationPlan:
    """What `finer ablate projectors` does.

    llava or folders: where the frozen encoder and language model come from, a LLaVA or a folder each.
    arms: the projectors; each is trained with the same steps and images, and with the one of learning_rates that gives it
    the least loss on the images left out of training, a share `validation`.
    layer: of the encoder, whose patches go in; layers: those of the arm mlp2_layers. queries: tokens of the resampler.
    teaches: the levels whose names the projector is trained to bring out. per_concept: images of each concept, of train
    and test. documents, max_new_tokens: limits of the evaluation.
    """

    FOLDER: ClassVar[str] = "ablate"

    projector_steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rates: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(min_length=1)
    tasks: tuple[str, ...] = Field(min_length=1)
    llava: str | None = None
    folders: Folders | None = None
    dataset: str = "mini"
    arms: tuple[Arm, ...] = Field(default=("linear", "mlp2", "mlp4", "resampler", "mlp2_pool2x2", "mlp2_layers"), min_length=1)
    layer: int = -1
    layers: tuple[int, ...] = Field(default=(-3, -2, -1), min_length=2)
    queries: int = Field(default=16, ge=1)
    teaches: tuple[Level, ...] = Field(default=("superordinate", "coarse", "fine"), min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    seed: Seed = 0
    per_concept: int | None = Field(default=None, ge=2)
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    documents: int | None = Field(default=None, ge=1)
    max_new_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check(self) -> AblationPlan:
        """Raise ValueError where the parts are not named once, an arm has nothing to be compared with, or a list repeats."""
        if (self.llava is None) == (self.folders is None):
            raise ValueError("give either llava or folders, so that encoder and language model are known")
        if REFERENCE not in self.arms:
            raise ValueError(f"arms lacks {REFERENCE}, with which the others are compared")
        for name in ("arms", "seeds", "learning_rates", "tasks", "layers"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice")
        return self

    def layers_of(self, arm: Arm) -> tuple[int, ...]:
        """The encoder's layers whose patches go into an arm's projector."""
        return self.layers if arm == "mlp2_layers" else (self.layer,)
