"""What a training recipe holds. Defaults are the paper's setting for LLaVA-1.5 (Kim & Ji 2024, appendix)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from finer_tasks.training.recipe import STRICT, Seed


@dataclass(frozen=True, config=STRICT)
class Lora:
    """LoRA on every linear layer of the language model but the output layer."""

    rank: int = Field(default=128, ge=1)
    alpha: float = Field(default=256, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """FINER tasks to run on a part of their documents every so many steps, and at the end."""

    tasks: tuple[str, ...] = Field(min_length=1)
    every: int = Field(default=500, ge=1)
    documents: int = Field(default=200, ge=1)
    batch_size: int = Field(default=16, ge=1)


@dataclass(frozen=True, config=STRICT)
class Run:
    """What the recipe of a run holds, whatever it learns from.

    projector: frozen, train (all its weights) or lora, with its own projector_learning_rate.
    encoder_cache: folder that keeps what the frozen vision encoder makes of each image, for LLaVA.
    dtype: of the frozen weights; what is trained is kept in float32 always.
    """

    FOLDER: ClassVar[str] = "train"

    model: str
    mixture: Path
    output: Path
    seed: Seed = 0
    lora: Lora = Field(default_factory=Lora)
    projector: Literal["frozen", "train", "lora"] = "train"
    projector_learning_rate: float = Field(default=2e-5, gt=0)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    gradient_checkpointing: bool = False
    encoder_cache: Path | None = None
    epochs: float = Field(default=1, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    global_batch_size: int = Field(default=64, ge=1)
    micro_batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    schedule: Literal["linear", "cosine", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"] = "cosine"
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    workers: int = Field(default=4, ge=0)
    save_every: int = Field(default=500, ge=1)
    keep: int = Field(default=2, ge=1)
    log_every: int = Field(default=10, ge=1)
    report_to: tuple[str, ...] = ()
    evaluation: Evaluation | None = None
    trust_remote_code: bool = False

    @property
    def sharded(self) -> bool:
        """Whether several processes share out the weights, so that checkpoints consist of other files."""
        return False

    @property
    def when_out_of_memory(self) -> str:
        """The settings that decide how much memory a run takes, and what to change first."""
        raise NotImplementedError

    @field_validator("report_to")
    @classmethod
    def _can_be_reported_to(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            from transformers.integrations import integration_utils

            known, installed = (
                integration_utils.INTEGRATION_TO_CALLBACK,
                integration_utils.get_available_reporting_integrations(),
            )
            for name in names:
                if name not in known:
                    raise ValueError(f"{name!r} is none of {', '.join(sorted(known))}")
                if name not in installed:
                    raise ValueError(f"the package of {name!r} is not installed")
        return names


@dataclass(frozen=True, config=STRICT)
class TrainRecipe(Run):
    """A supervised run.

    global_batch_size: conversations per step over all processes; micro_batch_size: per process and pass.
    max_length: tokens of a conversation, image tokens included; overlong ones end the run before it
    starts (error) or are left out and counted (drop), never cut.
    packing: the conversations of a pass stand in one row, without padding; loss and gradients are those of padded rows.
    loss_on: answers computes the output layer only where an answer token is predicted, which is
    the same loss for less memory; all computes it everywhere.
    """

    method: Literal["supervised"] = "supervised"
    quantize: Literal["none", "4bit", "8bit"] = "none"
    compile: bool = False
    max_length: int = Field(default=2048, ge=1)
    overlong: Literal["error", "drop"] = "error"
    group_by_length: bool = True
    packing: bool = False
    loss_on: Literal["answers", "all"] = "answers"
    fsdp: bool = False
    fsdp_config: dict[str, Any] | None = None
    deepspeed: Path | None = None

    @property
    def sharded(self) -> bool:
        """As Run's."""
        return self.fsdp or self.deepspeed is not None

    @property
    def when_out_of_memory(self) -> str:
        """As Run's."""
        return (
            f"micro_batch_size={self.micro_batch_size}, max_length={self.max_length}, "
            f"gradient_checkpointing={str(self.gradient_checkpointing).lower()}, quantize={self.quantize}. "
            "Lower micro_batch_size first (global_batch_size stays), then gradient_checkpointing=true, then quantize=4bit"
        )
