"""FINER tasks during training: the model being trained, through lmms-eval, on a part of the documents."""

from __future__ import annotations

from typing import Any

import torch

from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.training.tuning.recipe import Evaluation

SCORES = ("em", "em_strict")


class TaskEvaluation:
    """Callable on a step; returns em and em_strict by task."""

    def __init__(self, evaluation: Evaluation, pretrained: str, model: Any) -> None:
        self.evaluation = evaluation
        # A processor of its own: generation pads on the left, training on the right.
        self.processor = load_processor(LoadOptions(pretrained))
        self.pretrained, self.model = pretrained, model

    def __call__(self, step: int) -> dict[str, float]:
        """Evaluate and give the model back as it was."""
        from lmms_eval.evaluator import simple_evaluate

        was_training, cached = self.model.training, self.model.config.use_cache
        state = torch.get_rng_state()
        self.model.eval()
        self.model.config.use_cache = True
        try:
            answerer = FinerHF.of(self.model, self.processor, self.evaluation.batch_size, self.pretrained)
            found = simple_evaluate(
                model=answerer,
                tasks=list(self.evaluation.tasks),
                limit=self.evaluation.documents,
                log_samples=False,
                bootstrap_iters=0,
            )
        finally:
            self.model.train(was_training)
            self.model.config.use_cache = cached
            torch.set_rng_state(state)
        results = (found or {}).get("results", {})
        return {
            f"{task}_{score}": float(results[task][f"{score},none"])
            for task in self.evaluation.tasks
            for score in SCORES
            if f"{score},none" in results.get(task, {})
        }
