"""Answers without scores, as lmms-eval's --predict_only leaves them: their documents, from the prepared dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.seen import published_fingerprint
from finer_tasks.errors import ResultsError
from finer_tasks.tasks import hooks
from finer_tasks.tasks.table import SHOWS_NO_IMAGE

# The record of a document by its number, and whether its image could be read.
Documents = Callable[[int], tuple[Mapping[str, Any], bool]]


def documents_of(identity: Mapping[str, Any]) -> Documents:
    """The documents of a task; raises ResultsError if the dataset prepared here is not the one of the run."""
    dataset = str(identity["dataset"])
    prepared = ensure_prepared(dataset)
    found = prepared.manifest.contents.get("test")
    wanted = published_fingerprint(identity)
    if found != wanted:
        raise ResultsError(
            f"the answers are to {dataset} with fingerprint {wanted}, prepared here is {found}; "
            "prepare that version to score them"
        )
    table = prepared.tables()["test"]

    def document(number: int) -> tuple[Mapping[str, Any], bool]:
        if not 0 <= number < len(table):
            raise IndexError(f"there is no document {number} in {dataset}")
        doc = table[number]
        return doc, identity["variant"] in SHOWS_NO_IMAGE or hooks.is_readable(doc)

    return document
