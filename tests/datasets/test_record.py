from __future__ import annotations

from typing import Any

import pytest

from finer_tasks.datasets.record import FinerRecord, accepted_labels
from finer_tasks.errors import DatasetContentError


def record(**changes: Any) -> FinerRecord:
    fields: dict[str, Any] = {
        "id": "cub/test/1", "image": "a.jpg", "superordinate": "Bird", "coarse": ("Albatross",), "fine": ("Laysan Albatross",),
        "concept_id": "laysan_albatross", "class_id": "Laysan_Albatross", "split": "test", "source": "CUB",
    }  # fmt: skip
    return FinerRecord(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "val"}, "split 'val'"),
        ({"superordinate": " "}, "'superordinate' is empty"),
        ({"fine": ()}, "'fine' needs at least one label"),
        ({"coarse": ("Albatross", "")}, "'coarse' needs at least one label, none empty"),
        ({"fine": "Laysan Albatross"}, "'fine' needs at least one label"),
    ],
)
def test_a_record_without_usable_labels_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetContentError, match=message):
        record(**changes)


def test_upper_levels_accept_the_labels_below_them() -> None:
    doc = record().to_row()
    assert accepted_labels(doc, "superordinate") == ["Bird", "Albatross", "Laysan Albatross"]
    assert accepted_labels(doc, "coarse") == ["Albatross", "Laysan Albatross"]
    assert accepted_labels(doc, "fine") == ["Laysan Albatross"]
