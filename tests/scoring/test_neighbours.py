"""Wrong names beside the right one: siblings first, never a true one, the same for a document on every machine."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from finer_tasks.datasets.concepts import Concepts, concepts_of
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import DatasetContentError
from finer_tasks.scoring import neighbours as module
from finer_tasks.scoring.neighbours import neighbours
from tests.documents import document_of


def names(dataset: str, concept_id: str, level: str, seed: str = "0") -> list[tuple[str, str]]:
    doc = document_of(dataset, concept_id)
    return [(one.name, one.shares) for one in islice(neighbours(doc, level, random.Random(seed)), 100_000)]


def test_siblings_come_first_and_then_those_one_level_up() -> None:
    found = names("mini", "alder_finch", "fine")
    assert [shares for _, shares in found] == ["coarse"] * 3 + ["superordinate"] * 12 + [""] * 48
    concepts = concepts_of("mini")
    siblings = {concepts.by_id[one].fine[0] for one in concepts.siblings_of("alder_finch")}
    assert {name for name, shares in found if shares == "coarse"} == siblings
    assert [shares for _, shares in names("mini", "alder_finch", "coarse")] == ["superordinate"] * 3 + [""] * 12


def test_an_only_child_gets_names_from_one_level_up() -> None:
    found = names("cub", "northern_cardinal", "fine")
    assert {shares for _, shares in found} == {"superordinate"}
    assert len(found) == 199


def test_the_order_follows_the_seed_alone() -> None:
    assert names("cub", "laysan_albatross", "fine", "a") == names("cub", "laysan_albatross", "fine", "a")
    assert names("cub", "laysan_albatross", "fine", "a") != names("cub", "laysan_albatross", "fine", "b")


@pytest.mark.parametrize(
    ("dataset", "level"), [("nabirds", "coarse"), ("aircraft", "fine"), ("cars", "fine"), ("dogs", "coarse")]
)
def test_no_name_is_true_of_the_document(dataset: str, level: str) -> None:
    """Nor one that holds the true concept as a wider group does."""
    for concept in list(concepts_of(dataset))[::15]:
        doc = document_of(dataset, concept.concept_id)
        true = {"coarse": set(concept.coarse), "fine": set(concept.fine)}[level]
        for one in islice(neighbours(doc, level, random.Random(0)), 30):
            assert one.name not in true


def test_a_wider_group_that_holds_the_concept_is_left_out() -> None:
    """Ducks are of "Ducks, Geese, and Swans"."""
    found = [(c.concept_id, c.coarse) for c in concepts_of("nabirds") if c.coarse[0] == "Duck"]
    concept_id, coarse = found[0]
    offered = {name for name, _ in names("nabirds", concept_id, "coarse")}
    assert not offered & set(coarse)


def test_a_dataset_of_one_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    only = Concepts((Concept("alder_finch", "Bird", ("Finch",), ("Alder Finch",)),))
    monkeypatch.setattr(module, "concepts_of", lambda dataset: only)
    with pytest.raises(DatasetContentError, match=r"mini has no coarse name beside 'Finch'.*Leave out the tasks"):
        next(neighbours(document_of("mini", "alder_finch"), "coarse", random.Random(0)))
