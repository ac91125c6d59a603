"""Which documents are fitted on and tested on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.probe.documents import Documents, Part, choose_documents, told_labels
from finer_tasks.probe.results import ProbeError


def test_as_many_of_each_concept_are_drawn_and_the_first_are_tested(mini_data: Path) -> None:
    prepared = load_prepared("mini")
    found = choose_documents(prepared, 5, 10, 0)
    assert set(Counter(found.train.concepts).values()) == {5}
    assert found.test.ids == prepared.tables()["test"]["id"][:10]
    again, other = choose_documents(prepared, 5, 10, 0), choose_documents(prepared, 5, 10, 1)
    assert again.train.ids == found.train.ids != other.train.ids
    everything = choose_documents(prepared, None, None, 0)
    assert [len(everything.train.rows), len(everything.test.rows)] == [
        len(prepared.tables()[split]) for split in ("train", "test")
    ]


def part(*documents: tuple[str, str]) -> Part:
    rows = [
        {"id": concept, "concept_id": concept, "superordinate": "Bird", "coarse": [coarse, "x"]}
        for concept, coarse in documents
    ]
    return Part(Dataset.from_list(rows), np.arange(len(rows)))


def test_labels_are_numbered_by_name_and_a_level_of_one_label_is_left_out() -> None:
    documents = Documents(part(("b", "Owl"), ("a", "Gull")), part(("a", "Gull")))
    told = told_labels(documents, ("superordinate", "coarse", "fine"))
    assert list(told) == ["coarse", "fine"]
    assert told["coarse"].names == ("Gull", "Owl")
    assert (told["fine"].train.tolist(), told["fine"].test.tolist()) == ([1, 0], [0])
    with pytest.raises(ProbeError, match="one label at level superordinate; nothing can be told apart"):
        told_labels(documents, ("superordinate",))
