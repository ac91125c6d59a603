"""Closed-set tasks: one request of all names on finer_hf, a request for each name elsewhere, and the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.scoring.closed import judge_closed
from finer_tasks.tasks import plugin
from finer_tasks.tasks.binding import TaskError
from tests.tasks.backends import Backend

TASKS = ["finer_mini_coarse_closed", "finer_mini_superordinate_closed"]


def run(model: Any, limit: int = 3) -> Any:
    plugin.register()
    manager = TaskManager(include_defaults=False, model_name=model)
    return simple_evaluate(model=model, tasks=TASKS, limit=limit, log_samples=True, task_manager=manager)


def test_both_ways_give_the_same_figures(mini_data: Path) -> None:
    together, each = (run(kind(pretrained="finer-mini", batch_size=6)) for kind in (FinerHF, FinerHFSimple))
    for task in TASKS:
        for one, other in zip(together["samples"][task], each["samples"][task], strict=True):
            for name in ("closed_top1_norm", "closed_top5_norm", "closed_rank_norm"):
                assert one[name]["score"] == other[name]["score"]
            assert one["closed_ece_norm"]["confidence"] == pytest.approx(other["closed_ece_norm"]["confidence"], rel=1e-4)
            assert [key for key, _ in one["closed_top1_norm"]["top"]] == [key for key, _ in other["closed_top1_norm"]["top"]]
            assert "closed_rank_pmi" in one
            assert "closed_rank_pmi" not in other
        assert together["results"][task]["closed_top1_sum,none"] > 0.5


def test_a_chat_model_that_only_generates_is_refused(mini_data: Path) -> None:
    with pytest.raises(TaskError, match="gives no likelihoods"):
        run(Backend())


@pytest.mark.parametrize("results", [["no scores"], ["(0.5, True)", "(0.1, False)"], ["(nan, False)"] * 16, []])
def test_results_that_are_no_scores_count_as_failed(mini_data: Path, results: list[str]) -> None:
    doc = {
        "id": "mini/test/x", "superordinate": "Bird", "coarse": ["Finch"], "fine": ["Alder Finch"], "concept_id": "alder_finch",
        "class_id": "x",
    }  # fmt: skip
    items = judge_closed(doc, results, "coarse")
    assert items["failed_requests"]["value"] == 1
    assert items["closed_top1_norm"]["score"] == 0


def test_a_corrupt_image_has_the_figures_of_the_other_documents(mini_data: Path) -> None:
    doc = {"id": "mini/test/x", "superordinate": "Bird", "coarse": ["Finch"], "fine": ["A"], "concept_id": "a", "class_id": "x"}
    each = ["(0.5, True)"] * 16
    assert judge_closed(doc, each, "coarse", readable=False).keys() == judge_closed(doc, each, "coarse").keys()
    assert "closed_top1_sum" in judge_closed(doc, ["{}"], "coarse", readable=False)
