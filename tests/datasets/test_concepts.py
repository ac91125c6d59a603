"""The concepts of a dataset: as prepared, else as in its taxonomy, and never those of an older preparation."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.errors import NotPreparedError
from finer_tasks.scoring.judge import lexicon
from tests import official


def test_siblings_have_the_same_first_coarse_label(mini_data: Path) -> None:
    concepts = concepts_of("mini")
    assert len(concepts) == 64
    for concept in concepts:
        expected = {c.concept_id for c in concepts if c.coarse[0] == concept.coarse[0]} - {concept.concept_id}
        assert set(concepts.siblings_of(concept.concept_id)) == expected


def test_what_is_not_prepared_is_known_by_its_taxonomy_where_that_has_classes() -> None:
    assert len(concepts_of("nabirds")) == 404  # 555 classes
    with pytest.raises(NotPreparedError, match="finer prepare inat"):
        concepts_of("inat")


def test_a_preparation_is_seen_by_a_process_that_scored_before_it(tmp_path: Path) -> None:
    before = lexicon("cub")
    assert lexicon("cub") is before
    prepare(Request("cub", official.cub(tmp_path / "CUB_200_2011"), allow_partial=True))
    assert concepts_of("cub") is concepts_of("cub")
    assert lexicon("cub") is not before
