"""Small pictures of documents for pages, where the dataset is prepared on this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from typing import Any

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.record import dataset_of
from finer_tasks.errors import FinerError

_SIDE = 96


def thumbnail(document: str) -> str:
    """A small JPEG as a data URL, empty where the dataset or the image is not here.

    The file is the prepared dataset's own for that document: a samples file may come from anyone,
    and must not decide which file of this machine is put into a page.
    """
    try:
        prepared = load_prepared(dataset_of(document))
        rows, places = _documents(prepared)
        if document not in places:
            return ""
        image = image_of(prepared, rows[places[document]])
    except (FinerError, OSError):
        return ""
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


@cache
def _documents(prepared: Prepared) -> tuple[Any, Mapping[str, int]]:
    """The test documents of a prepared dataset, and the row of each by its id."""
    rows = prepared.tables()["test"]
    return rows, {identity: number for number, identity in enumerate(rows["id"])}
