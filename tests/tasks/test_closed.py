"""Closed-set tasks: one request of all names on finer_hf, a request for each name elsewhere, and the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer_tasks.models import closed_set
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.scoring.closed import KINDS, judge_closed
from finer_tasks.tasks import plugin
from finer_tasks.tasks.binding import TaskError
from tests.tasks.backends import Backend

TASKS = ["finer_mini_coarse_closed", "finer_mini_superordinate_closed"]


def run(model: Any, limit: int = 3) -> Any:
    plugin.register()
    manager = TaskManager(include_defaults=False, model_name=model)
    return simple_evaluate(model=model, tasks=TASKS, limit=limit, log_samples=True, task_manager=manager)


class Plain(lmms):
    """A backend as lmms-eval's own are written: one request at a time, the loss of the reply in the chat template."""

    is_simple = True

    def __init__(self) -> None:
        super().__init__()
        self.processor = AutoProcessor.from_pretrained(BUILT_IN["finer-mini"])
        self.own = AutoModelForImageTextToText.from_pretrained(BUILT_IN["finer-mini"], dtype=torch.float32)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [(self.loss(*request.args), False) for request in requests]

    @torch.inference_mode()
    def loss(self, context: str, target: str, visuals: Any, doc_id: int, task: str, split: str) -> float:
        images = visuals(self.task_dict[task][split][doc_id])
        prompt = f"USER: <image>\n{context} ASSISTANT:"
        asked, whole = (
            self.processor(text=text, images=images, return_tensors="pt") for text in (prompt, f"{prompt} {target}</s>")
        )
        labels = whole["input_ids"].clone()
        labels[:, : asked["input_ids"].shape[1]] = -100
        return float(self.own(**whole, labels=labels).loss)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError

    generate_until_multi_round = generate_until


def alike(found: Any, other: Any, metric: str = "norm") -> None:
    """Both have the same ranks and choices, and about the same confidence."""
    for task in TASKS:
        for one, two in zip(found["samples"][task], other["samples"][task], strict=True):
            for name in ("top1", "top5", "rank"):
                assert one[f"closed_{name}_{metric}"]["score"] == two[f"closed_{name}_{metric}"]["score"]
            confidences = [sample[f"closed_ece_{metric}"]["confidence"] for sample in (one, two)]
            assert confidences[0] == pytest.approx(confidences[1], rel=1e-4)
            tops = [[key for key, _ in sample[f"closed_top1_{metric}"]["top"]] for sample in (one, two)]
            assert tops[0] == tops[1]


def test_one_request_of_all_names_gives_the_figures_of_a_request_for_each(mini_data: Path) -> None:
    together, each, plain = (run(made) for made in (finer_mini(), finer_mini(FinerHFSimple), Plain()))
    alike(together, each)
    alike(together, plain)
    for found in (each, plain):
        assert "closed_rank_pmi" not in found["samples"][TASKS[0]][0]
    assert together["results"][TASKS[0]]["closed_top1_sum,none"] > 0.5


def finer_mini(kind: type[FinerHF] = FinerHF) -> FinerHF:
    return kind(pretrained="finer-mini", batch_size=6)


def test_a_trie_that_does_not_fit_backs_off_and_figures_stay(mini_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, model, own = run(finer_mini()), finer_mini(), closed_set._logits
    sizes: list[int] = []

    def narrow(generator: Any, prompts: Any, piece: Any) -> Any:
        sizes.append(len(prompts.mask))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(generator, prompts, piece)

    monkeypatch.setattr(closed_set, "_logits", narrow)
    monkeypatch.setattr(closed_set, "PRIORS", 1)
    backed_off = run(model)
    for kind in KINDS:
        alike(whole, backed_off, kind)
    assert max(sizes) > 2 >= sizes[-1]
    assert model.runner.batch_size == 3
    assert len(model.answering.closed_sets._priors) == 1  # many questions do not fill the memory


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
