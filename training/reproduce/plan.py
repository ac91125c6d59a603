"""The plan of a reproduction, read from a recipe like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from finer_tasks.datasets.registry import known_dataset
from finer_tasks.training.mixture.recipe import Style
from finer_tasks.training.parts import Scaling
from finer_tasks.training.recipe import STRICT, Seed, locate_keys
from finer_tasks.training.tiny_llava.stages import Schedule
from finer_tasks.training.tuning.recipe import TrainRecipe

Count = Annotated[int, Field(ge=1, strict=True)]
Level = Literal["superordinate", "coarse", "fine"]
Arm = Literal["attrseek", "attrseek1", "cot", "text", "both", "parent_only"]


@dataclass(frozen=True, config=STRICT)
class HeldOutPart:
    """What is kept out of the mixtures, one group at a time, so that no one group decides.

    by: what is held out whole: concepts, all concepts of a coarse label, of a superordinate, or of a dataset.
    groups: into how many groups these are divided at random, of as equally many concepts as can be; without it each is a group.
    named: the groups by name instead; what is in none of them is never held out.
    """

    by: Literal["concept", "coarse", "superordinate", "dataset"]
    groups: Count | None = None
    named: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> HeldOutPart:
        """Raise ValueError where groups are both counted and named."""
        if self.groups is not None and self.named:
            raise ValueError("give either groups or named")
        if any(not group for group in self.named):
            raise ValueError("a group in named is empty")
        return self


@dataclass(frozen=True, config=STRICT)
class EncoderPart:
    """Where the vision encoder comes from: trained here (mini alone), a folder or hub name, or a LLaVA's.

    image_size, image_mean, image_std: of an encoder from a folder, whose images are square.
    """

    train: Schedule | None = None
    folder: str | None = None
    llava: str | None = None
    image_size: int = Field(default=224, ge=8)
    image_mean: Scaling | None = None
    image_std: Scaling | None = None

    @model_validator(mode="after")
    def _check(self) -> EncoderPart:
        """Raise ValueError where the encoder is not named once."""
        _require_one(self, "train", "folder", "llava")
        if (self.image_mean is None) != (self.image_std is None):
            raise ValueError("give image_mean and image_std together")
        return self


@dataclass(frozen=True, config=STRICT)
class Size:
    """A language model made here: a Llama of so many layers, width and attention heads, with a tokenizer of its own."""

    layers: Count = 4
    width: int = Field(default=192, ge=8)
    heads: Count = 4
    vocabulary: int = Field(default=1024, ge=300)

    @model_validator(mode="after")
    def _check(self) -> Size:
        """Raise ValueError where the heads do not divide the width."""
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of twice the heads")
        return self


@dataclass(frozen=True, config=STRICT)
class LanguagePart:
    """Where the language model comes from: made here, a folder or hub name, or a LLaVA's.

    text: training on texts that hold every concept's labels and attributes, and no image. told: the least share of a
    concept's attributes that a description in such a text names; the share is drawn anew each time.
    """

    size: Size | None = None
    folder: str | None = None
    llava: str | None = None
    text: Schedule | None = None
    told: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> LanguagePart:
        """Raise ValueError where the model is not named once, or is made and never trained."""
        _require_one(self, "size", "folder", "llava")
        if self.size and not self.text:
            raise ValueError("a language model of a size is made here and needs text to learn from")
        return self


@dataclass(frozen=True, config=STRICT)
class ProjectorPart:
    """What joins encoder and language model, and how long it alone is trained to bring out superordinate and coarse labels.

    form: LLaVA's, a token a patch; or class_token, which makes `tokens` image tokens of the encoder's token of the whole image
    and the mean patch: for small models, which find little among many patches.
    """

    train: Schedule
    form: Literal["patches", "class_token"] = "patches"
    tokens: Count = 4


@dataclass(frozen=True, config=STRICT)
class Base:
    """The model before tuning: a ready LLaVA (checkpoint), or its parts and the stages that join them."""

    checkpoint: str | None = None
    encoder: EncoderPart | None = None
    language: LanguagePart | None = None
    projector: ProjectorPart | None = None

    @model_validator(mode="after")
    def _check(self) -> Base:
        """Raise ValueError where there is neither a checkpoint nor all parts, or both."""
        parts = (self.encoder, self.language, self.projector)
        if (self.checkpoint is None) == (None in parts) or (self.checkpoint and any(parts)):
            raise ValueError("give either checkpoint, or encoder, language and projector")
        return self

    @property
    def parts(self) -> tuple[EncoderPart, LanguagePart, ProjectorPart]:
        """What the model is made of; there must be no checkpoint."""
        assert self.encoder is not None
        assert self.language is not None
        assert self.projector is not None
        return self.encoder, self.language, self.projector


@dataclass(frozen=True, config=STRICT)
class Plan:
    """What `finer reproduce` does.

    seeds: one run of the whole chain for each, base model and choice of images included; of a checkpoint, of the tuning.
    levels, arms: what is asked; arms are ways to ask for the fine concept beside the direct question.
    mixtures: the first is what the second is compared with. per_concept, detail: as in a mixture's recipe.
    tuning: a training recipe without model, mixture, output and seed; `recipe` names one to start from.
    documents_per_concept: test images of each concept, the first ones; max_new_tokens: a shorter limit on replies.
    probe: fit linear probes to what leaves the base model's vision encoder and its projector (LLaVA alone).
    cache_features: keep on disk what the vision encoder makes of each image (LLaVA alone): worth it for few images seen often.
    model_args: more arguments of finer_hf, such as dtype=bfloat16.
    """

    FOLDER: ClassVar[str] = "reproduce"

    held_out: HeldOutPart
    base: Base
    tuning: dict[str, Any]
    datasets: tuple[Annotated[str, AfterValidator(known_dataset)], ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    levels: tuple[Level, ...] = Field(default=("superordinate", "coarse", "fine"), min_length=1)
    arms: tuple[Arm, ...] = ("attrseek", "text")
    mixtures: tuple[Style, Style] = ("direct", "finer")
    per_concept: Count | None = None
    detail: Literal["few", "required", "required_and_likely"] = "required"
    near_duplicates: Literal["drop", "ignore"] = "drop"
    documents_per_concept: Count | None = None
    max_new_tokens: Count | None = None
    batch_size: str = "64"
    model_args: str = ""
    probe: bool = True
    cache_features: bool = False

    @model_validator(mode="after")
    def _check(self) -> Plan:
        """Raise ValueError where a list repeats, the fine level is not asked, or parts do not fit the datasets."""
        for name in ("datasets", "seeds", "levels", "arms", "mixtures"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice")
        if "fine" not in self.levels:
            raise ValueError("levels lacks fine, with which the arms are compared")
        if self.base.encoder and self.base.encoder.train and self.datasets != ("mini",):
            raise ValueError("base.encoder.train is for mini alone, whose pictures' parts are known; name a folder")
        if self.held_out.by == "dataset" and len(self.datasets) < 2:
            raise ValueError("held_out.by=dataset needs two datasets or more")
        self.tuned(Path(), "", Path(), 0)
        return self

    def tuned(self, mixture: Path, model: str, output: Path, seed: int, features: Path | None = None) -> TrainRecipe:
        """The recipe of one run of tuning, with the folder of cached features; raises ValueError where its keys make none."""
        keys = dict(self.tuning)
        given = {"model": model, "mixture": mixture, "output": output, "seed": seed, "encoder_cache": features}
        if placed := next((key for key in given if key in keys), None):
            raise ValueError(f"tuning.{placed} is set by the experiment; leave it out")
        known = locate_keys(Path(keys.pop("recipe")), TrainRecipe.FOLDER) if "recipe" in keys else {}
        try:
            return TypeAdapter(TrainRecipe).validate_python(known | keys | given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"tuning.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def base_of(self, seed: int) -> str:
        """What the base model of a seed is called: a checkpoint is that of all seeds."""
        return "checkpoint" if self.base.checkpoint else str(seed)

    @property
    def runs(self) -> str:
        """What one seed stands for."""
        return "runs of tuning from one base model" if self.base.checkpoint else "runs of the whole chain"


def _require_one(part: Any, *names: str) -> None:
    if sum(getattr(part, name) is not None for name in names) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}")
