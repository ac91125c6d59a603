"""Small pictures of documents for pages, where the dataset is prepared on this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from finer_tasks.datasets.images import perturbed_image
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.record import dataset_of
from finer_tasks.datasets.registry import get_reader
from finer_tasks.datasets.seen import perturbation_of
from finer_tasks.errors import FinerError

SIDE = 96


def thumbnail(document: str, identity: Mapping[str, Any], side: int = SIDE) -> str:
    """A small JPEG of what the model of a result saw, as a data URL; empty where the dataset or the image is not here.

    It is at most `side` pixels wide and high.

    The file is the prepared dataset's own for that document: a samples file may come from anyone,
    and must not decide which file of this machine is put into a page. `identity` is that of the result.
    """
    try:
        prepared = load_prepared(dataset_of(document))
        rows, places = _documents(prepared)
        if document not in places:
            return ""
        image = perturbed_image(prepared, rows[places[document]], perturbation_of(identity, prepared))
    except (FinerError, OSError):
        return ""
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def terms_of_pictures(documents: Iterable[str]) -> list[str]:
    """For a page with pictures of these documents: whose they are and under which terms, a sentence a dataset.

    Datasets that are built in have none.
    """
    readers = [get_reader(name) for name in dict.fromkeys(map(dataset_of, documents))]
    return [
        f"The pictures of {reader.origin.title} in this file stay under its terms ({reader.origin.terms})"
        for reader in readers
        if not reader.built_in
    ]


@cache
def _documents(prepared: Prepared) -> tuple[Any, Mapping[str, int]]:
    """The test documents of a prepared dataset, and the row of each by its id."""
    rows = prepared.tables()["test"]
    return rows, {identity: number for number, identity in enumerate(rows["id"])}
