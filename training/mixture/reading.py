"""Opening a mixture that was built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasets import Dataset, load_from_disk

from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.build import FEATURES

_KEYS = ("name", "hash", "conversations", "data")


def read_mixture(folder: Path) -> tuple[dict[str, Any], Dataset]:
    """Card and conversations of a mixture; raises MixtureError if it is none, or not whole."""
    card = _read_card(folder)
    try:
        dataset = load_from_disk(str(folder / "arrow"))
        whole = isinstance(dataset, Dataset) and dataset.features == FEATURES and len(dataset) == card["conversations"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MixtureError(f"{folder / 'arrow'} cannot be read ({error}). {_rebuild(folder)}") from error
    if not whole:
        what = f"does not hold the {card['conversations']} conversations of card.json"
        raise MixtureError(f"{folder / 'arrow'} {what}. {_rebuild(folder)}")
    return card, dataset


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    if not path.is_file():
        raise MixtureError(f"{folder} is no mixture: it has no card.json. Build one with `finer mixture build`")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MixtureError(f"{path} cannot be read ({error}). {_rebuild(folder)}") from error
    if not isinstance(card, dict) or any(key not in card for key in _KEYS):
        raise MixtureError(f"{path} is no card of a mixture, which has {', '.join(_KEYS)}. {_rebuild(folder)}")
    return card


def _rebuild(folder: Path) -> str:
    return f"Build it again: finer mixture build RECIPE --output {folder} --overwrite"
