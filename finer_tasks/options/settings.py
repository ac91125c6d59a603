"""FINER_CHOICES: between which options a multiple-choice task lets a model choose.

    siblings | random | embedding:PATH | foci:PATH | tara:PATH, and behind it ,options=N and ,seed=N

PATH is a file of hard negatives, which `finer negatives` writes, or a folder with one DATASET.json for each dataset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from finer_tasks.errors import FinerError

VARIABLE = "FINER_CHOICES"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Raised where the same setting gives other options, or another order, than before.
VERSION = 1
_NUMBER = re.compile(r",\s*(options|seed)=(\d{1,9})\s*$")


class ChoicesError(FinerError):
    """FINER_CHOICES or its file of hard negatives cannot be used."""


@dataclass(frozen=True)
class Protocol:
    """What a published multiple-choice benchmark does, as far as it is not said by the file of hard negatives.

    Attributes:
        options: how many there are.
        variant: the question of prompt sets that asks as it does.
        tokens: how long an answer may be.
        rule: the figure that reads answers as it does.
    """

    options: int
    variant: str
    tokens: int
    rule: str


# FOCI (Geigle et al. 2024, arXiv 2406.14496; benchmark/data/dataset.py, benchmark/evaluate.py, benchmark/model/model.py) and
# TARA (He et al. 2026, arXiv 2603.00431; LLM-Hierarchical-Consistency/evaluation/vllm/qwen/eval_natural_plant.py, which is
# the evaluation of Tan et al. 2025, arXiv 2505.24840). Both take the wrong labels that an image-text model finds most alike
# to the image, of the same level, and shuffle the options of each image by itself.
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        "foci": Protocol(options=4, variant="mc_foci", tokens=10, rule="mc_foci_rule"),
        "tara": Protocol(options=4, variant="mc_tara", tokens=5, rule="mc_tara_rule"),
    }
)
WITHOUT_FILE = ("siblings", "random")
WITH_FILE = ("embedding", *PROTOCOLS)


@dataclass(frozen=True)
class Setting:
    """How options are chosen and ordered.

    Attributes:
        name: one of WITHOUT_FILE or WITH_FILE.
        path: the file or folder of hard negatives, None where there is none.
        options: how many a question offers, the right one among them; fewer where a level has fewer concepts.
        seed: of the draw and of the order.
    """

    name: str
    path: Path | None = None
    options: int = 4
    seed: int = 0

    @property
    def protocol(self) -> Protocol | None:
        """What is reproduced, None for a setting of this project's own."""
        return PROTOCOLS.get(self.name)

    @property
    def variant(self) -> str:
        """The question of prompt sets that it puts."""
        return self.protocol.variant if self.protocol else "mc"

    @property
    def balanced(self) -> bool:
        """Whether each position is right equally often; protocols shuffle every document by itself."""
        return self.protocol is None


DEFAULT = Setting("siblings")


def active_setting() -> Setting:
    """The one that FINER_CHOICES names, else siblings; raises ChoicesError."""
    return parse(os.environ.get(VARIABLE) or DEFAULT.name)


@cache
def parse(text: str) -> Setting:
    """A setting as FINER_CHOICES writes it; raises ChoicesError, which tells what can be written."""
    rest, numbers = text.strip(), dict[str, int]()
    while found := _NUMBER.search(rest):
        if found[1] in numbers:
            raise ChoicesError(f"{VARIABLE}: {text!r:.200} gives {found[1]} twice. Give it once")
        numbers[found[1]] = int(found[2])
        rest = rest[: found.start()]
    name, _, path = rest.partition(":")
    if not (name in WITH_FILE and path) and not (name in WITHOUT_FILE and not path):
        raise ChoicesError(
            f"{VARIABLE}: {text!r:.200} is no way to choose options. Write {', '.join(WITHOUT_FILE)} or one of "
            f"{', '.join(f'{one}:FILE' for one in WITH_FILE)}; behind it may stand ,options=N and ,seed=N. "
            "`finer negatives` writes the file"
        )
    setting = Setting(name, Path(path).expanduser() if path else None, **numbers)
    if setting.protocol and "options" in numbers:
        raise ChoicesError(f"{VARIABLE}: {name} has {setting.protocol.options} options. Leave options={numbers['options']} out")
    if not 2 <= setting.options <= len(LETTERS):
        raise ChoicesError(f"{VARIABLE}: options={setting.options}; a question has 2 to {len(LETTERS)}")
    return setting


def recorded(setting: Setting, file: str = "", model: str = "") -> dict[str, Any]:
    """A setting as results record it: no path, but the fingerprint of the negatives and the model that made them."""
    told: dict[str, Any] = {
        "name": setting.name,
        "options": setting.options,
        "seed": setting.seed,
        "version": VERSION,
    }
    return told | ({"negatives": file, "model": model} if file else {})
