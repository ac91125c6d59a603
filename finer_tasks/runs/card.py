"""The card of a model: what its makers say of it, for submissions and exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from finer_tasks.errors import FinerError
from finer_tasks.parsing import explain, read_yaml
from finer_tasks.text import harmless


class CardError(FinerError):
    """The card of a model cannot be read, or a field of it is missing or wrong."""


def _shown(text: str) -> str:
    if harmless(text, keep="\n") != text:
        raise ValueError("it holds control characters, or marks that reorder or hide text")
    return text


def one_line(text: str) -> str:
    """The text, which others wrote, if a page can show it as it is in one line; else raises ValueError."""
    if "\n" in text:
        raise ValueError("it holds a line break")
    return _shown(text)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), AfterValidator(one_line)]


class Strict(BaseModel):
    """Other fields than these, and numbers that JSON lacks, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Card(Strict):
    """What a reader of the leaderboard is told about the model."""

    name: Text
    revision: Text
    parameters: float = Field(gt=0, description="all weights, in billions")
    weights: Literal["open", "closed"]
    contact: Text
    base_model: Text | None = None
    adapter: Text | None = Field(default=None, description="name or address of a LoRA adapter")
    training_mixture: Text | None = Field(default=None, description="name and hash of what it was tuned on")
    url: Annotated[str, StringConstraints(pattern=r"^https://\S{1,300}$"), AfterValidator(one_line)] | None = None
    notes: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_shown)] = ""


def read_card(path: Path) -> Card:
    """The card in a YAML file; raises CardError naming the field."""
    try:
        return Card.model_validate(read_yaml(path, CardError)[1])
    except ValidationError as error:
        fields = ", ".join(f"{name}{'' if field.is_required() else ' (optional)'}" for name, field in Card.model_fields.items())
        raise CardError(f"{path}: {explain(error)}. A card has the fields {fields}") from error
