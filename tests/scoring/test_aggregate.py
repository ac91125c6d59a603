from __future__ import annotations

import math

import numpy as np
import pytest
from lmms_eval.api.metrics import clustered_stderr

from finer_tasks.scoring.aggregate import clustered_standard_error, macro_mean, macro_standard_error, mean, mean_of_known, total

ITEMS = [{"score": s, "concept_id": c} for c, s in [("a", 1.0), ("a", 1.0), ("a", 0.0), ("b", 0.0), ("c", 1.0), ("c", 0.0)]]


def test_means_by_document_and_by_concept_differ_where_class_sizes_do() -> None:
    assert mean(ITEMS) == pytest.approx(3 / 6)
    assert macro_mean(ITEMS) == pytest.approx((2 / 3 + 0 + 1 / 2) / 3)


def test_only_defined_scores_enter_mean_of_known() -> None:
    assert mean_of_known([{"score": 2.0, "concept_id": "a"}, {"concept_id": "a"}]) == 2.0
    assert math.isnan(mean_of_known([{"concept_id": "a"}]))


def test_total_counts_values() -> None:
    assert total([{"value": 1.0, "concept_id": "a"}, {"value": 0.0, "concept_id": "b"}]) == 1.0


def test_the_clustered_error_agrees_with_lmms_eval() -> None:
    """Equal up to lmms-eval's n/(n-1) on the diagonal terms."""
    rng = np.random.default_rng(0)
    items = [{"score": float(rng.random() < 0.3 + 0.1 * (c % 5)), "concept_id": str(c)} for c in range(40) for _ in range(30)]
    theirs = clustered_stderr([i["score"] for i in items], [i["concept_id"] for i in items])
    assert clustered_standard_error(items) == pytest.approx(theirs, rel=2e-3)


def test_the_macro_error_is_that_of_the_concepts_means() -> None:
    means = [2 / 3, 0.0, 0.5]
    assert macro_standard_error(ITEMS) == pytest.approx(np.std(means, ddof=1) / np.sqrt(3))
    assert math.isnan(macro_standard_error(ITEMS[:3]))
