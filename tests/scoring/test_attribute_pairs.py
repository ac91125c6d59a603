"""Similarities against verdicts by hand on pairs of attributes."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from finer_tasks.attributes.phrases import contradicts
from tests.scoring.pairs import auc, auc_estimate, bootstrap, of_kind, pairs, right, similarities, verdicts

MODEL = os.environ.get("FINER_TEST_EMBEDDING", "")


def test_the_pairs_are_balanced_and_none_repeats() -> None:
    assert len(pairs()) == 200
    assert Counter(pair.same for pair in pairs()) == {True: 100, False: 100}
    assert len({frozenset((pair.one, pair.other)) for pair in pairs()}) == 200
    assert {pair.category for pair in pairs()} == {"bird", "aircraft", "car", "dog"}
    assert min(Counter((pair.kind, pair.same) for pair in pairs()).values()) >= 10


def test_the_area_is_that_of_all_comparisons_with_ties_half() -> None:
    values = np.random.default_rng(0).integers(0, 5, 200).astype(float)
    same, other = values[verdicts()][:, None], values[~verdicts()][None]
    assert auc(values, np.ones(200)) == pytest.approx(((same > other) + (same == other) / 2).mean())
    doubled = np.where(np.arange(200) == 0, 2.0, 1.0)
    assert auc(values, doubled) == pytest.approx(
        (((same > other) + (same == other) / 2).sum(axis=1) * doubled[verdicts()]).sum() / (101 * 100)
    )


def test_lexical_similarity_is_not_worse_than_measured() -> None:
    values = similarities("lexical")
    assert right(values).mean() >= 0.43
    assert right(values)[of_kind("inflection", True)].all()
    assert right(values)[of_kind("word order", True)].mean() > 0.9
    assert right(values)[of_kind("negation", False)].mean() > 0.9


def test_pairs_that_say_the_same_contradict_each_other_in_none_but_the_known() -> None:
    found = [(pair.one, pair.other) for pair in pairs() if pair.same and contradicts(pair.one, pair.other)]
    assert found == [("rufous tail", "reddish-brown tail")]


def test_an_embedding_model_is_better_than_words_alone() -> None:
    """For a folder of all-MiniLM-L6-v2; with another model the share may differ, the order should not."""
    if not MODEL:
        pytest.skip("FINER_TEST_EMBEDDING names no folder of a sentence-transformers model")
    lexical, values = similarities("lexical"), similarities(f"embedding:{MODEL}")
    assert bootstrap().mean(right(values) - right(lexical)).low > 0
    assert auc_estimate(values).low > 0.5
    assert right(values)[of_kind("paraphrase", True)].mean() > 0.6
    assert right(values)[of_kind("size or number", False)].mean() < 0.1  # what it cannot tell
