"""What a recipe with `method: grpo` holds: tuning by rewards for whole answers (Shao et al. 2024, DeepSeekMath)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from finer_tasks.training.recipe import STRICT, read_recipe_of
from finer_tasks.training.tuning.recipe import Lora, Run, TrainRecipe


@dataclass(frozen=True, config=STRICT)
class Reward:
    """What an answer is worth; the rules are in training/grpo/reward.py.

    partial: for the right coarse name alone where the fine one was asked for and the question did not tell the coarse one.
    max_characters: of a reply, thoughts and lists included. What is longer loses up to `overlong`, all of it at twice as long.
    """

    partial: float = Field(default=0.25, ge=0, lt=1)
    max_characters: int = Field(default=600, ge=1)
    overlong: float = Field(default=0.5, ge=0, le=1)


@dataclass(frozen=True, config=STRICT)
class GrpoRecipe(Run):
    """A run that learns from rewards: for each question the model draws a group of answers, and those better than the group's
    mean become more likely.

    levels, prompts: each image of the mixture is asked at each level in each way that the prompt set has for it.
    parent: whether the question tells the true label one level up, as the tasks do (gold), or not (none, direct prompts alone).
    global_batch_size: answers per step over all processes, a multiple of group_size; micro_batch_size: per process and pass.
    beta: weight of the divergence from the model before tuning (0: none, and no pass for it).
    iterations: steps that learn from the same answers; from the second on, ratios are clipped to 1 ± clip.
    loss: how TRL averages over tokens and answers.
    """

    method: Literal["grpo"] = "grpo"
    lora: Lora = Field(default_factory=lambda: Lora(dropout=0.0))
    learning_rate: float = Field(default=1e-5, gt=0)
    levels: tuple[Literal["superordinate", "coarse", "fine"], ...] = Field(default=("coarse", "fine"), min_length=1)
    prompts: tuple[Literal["direct", "attrseek1"], ...] = Field(default=("direct",), min_length=1)
    parent: Literal["gold", "none"] = "gold"
    reward: Reward = Field(default_factory=Reward)
    group_size: int = Field(default=8, ge=2)
    max_new_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.0, ge=0)
    clip: float = Field(default=0.2, gt=0, lt=1)
    iterations: int = Field(default=1, ge=1)
    loss: Literal["grpo", "bnpo", "dr_grpo", "dapo"] = "dapo"

    @model_validator(mode="after")
    def _check(self) -> GrpoRecipe:
        """Raise ValueError where values do not fit each other."""
        if self.lora.dropout:
            raise ValueError("lora.dropout must be 0: an answer would have another likelihood each time it is computed")
        if self.global_batch_size % self.group_size:
            raise ValueError(f"global_batch_size={self.global_batch_size} is no multiple of group_size={self.group_size}")
        if self.save_every % self.iterations:
            raise ValueError(
                f"save_every={self.save_every} is no multiple of iterations={self.iterations}: a checkpoint holds no answers, "
                "so that a run could not go on from between them"
            )
        if self.parent == "none" and "attrseek1" in self.prompts:
            raise ValueError("parent=none: attrseek1 asks with the label one level up; give prompts=[direct]")
        for name in ("levels", "prompts"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names one twice")
        return self

    @property
    def when_out_of_memory(self) -> str:
        """As Run's."""
        return (
            f"micro_batch_size={self.micro_batch_size}, global_batch_size={self.global_batch_size}, "
            f"max_new_tokens={self.max_new_tokens}, gradient_checkpointing={str(self.gradient_checkpointing).lower()}. "
            "Lower micro_batch_size first, then gradient_checkpointing=true; where it is in generating, which takes all of a "
            "step's answers of a process at once, lower global_batch_size"
        )


# By the key `method` of a recipe.
METHODS: Mapping[str, type[TrainRecipe] | type[GrpoRecipe]] = {"supervised": TrainRecipe, "grpo": GrpoRecipe}


def read_run(path: Path, overrides: Sequence[str] = ()) -> TrainRecipe | GrpoRecipe:
    """The recipe of a run of any method; see `recipe.read_recipe`."""
    found: TrainRecipe | GrpoRecipe = read_recipe_of(METHODS, "method", path, overrides)
    return found
