"""The paraphrase templates of the mixtures, read from templates.yaml."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

SLOTS = ("coarse_question", "attributes_question", "attributes_answer", "fine_question", "direct_question")


@cache
def load_templates() -> dict[str, tuple[str, ...]]:
    """All templates by slot."""
    raw = yaml.safe_load(resources.files(__package__).joinpath("templates.yaml").read_text(encoding="utf-8"))
    return {slot: tuple(raw[slot]) for slot in SLOTS}
