"""Small pictures of documents for pages, where the dataset is prepared on this machine."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.errors import FinerError

_SIDE = 96


def thumbnail(dataset: str, media: str) -> str:
    """A small JPEG as a data URL, empty where the dataset or the image is not here."""
    prepared = _prepared(dataset) if media else None
    if prepared is None:
        return ""
    try:
        image: Any = prepared.image({"image": media})
    except (FinerError, OSError):
        return ""
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _prepared(dataset: str) -> Prepared | None:
    try:
        return load_prepared(dataset)
    except (FinerError, OSError, json.JSONDecodeError):
        return None
