"""Words that only the strict scorer knows: names.yaml, beside the taxonomies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from finer_tasks.scoring.strict.words import words_of


@dataclass(frozen=True)
class Extra:
    """Further words of a dataset.

    Attributes:
        same: other words for a label.
        makers: other words for a maker at the start of a name, both folded.
        parts: words of a label that contradict each other ("Crew Cab"), by the group they belong to.
        outside: kinds that the dataset does not have, by the group they belong to.
        outside_datasets: datasets whose concepts are such kinds too.
    """

    same: dict[str, list[str]] = field(default_factory=dict)
    makers: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)
    outside: dict[str, list[str]] = field(default_factory=dict)
    outside_datasets: tuple[str, ...] = ()


@cache
def load_extra(dataset: str) -> Extra:
    """The further words of a dataset, none if names.yaml does not name it."""
    text = resources.files(__package__).joinpath("names.yaml").read_text(encoding="utf-8")
    entry: dict[str, Any] = yaml.safe_load(text).get(dataset, {})
    makers = {
        "".join(words_of(maker)): ["".join(words_of(other)) for other in others]
        for maker, others in entry.get("makers", {}).items()
    }
    others = tuple(entry.get("outside_datasets", ()))
    return Extra(entry.get("same", {}), makers, entry.get("parts", {}), entry.get("outside", {}), others)
