"""FINER tasks during training: the model being trained, through lmms-eval, on a part of the documents."""

from __future__ import annotations

import difflib
from typing import Any

import torch

from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.tasks import list_tasks
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.recipe import Evaluation

SCORES = ("em", "em_strict")


class TaskEvaluation:
    """Callable on a step; returns em and em_strict by task."""

    def __init__(self, evaluation: Evaluation, pretrained: str, model: Any) -> None:
        known = {task.name for task in list_tasks()}
        for name in evaluation.tasks:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "`finer tasks` lists them"
                raise TrainingError(f"evaluation.tasks: {name!r} is no single task; {hint}")
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
                tasks=self._tasks(),
                log_samples=False,
                bootstrap_iters=0,
            )
        finally:
            self.model.train(was_training)
            self.model.config.use_cache = cached
            torch.set_rng_state(state)
        results = (found or {}).get("results", {})  # None on all processes but the first
        return {
            f"{task}_{score}": float(results[task][f"{score},none"])
            for task in self.evaluation.tasks
            for score in SCORES
            if f"{score},none" in results.get(task, {})
        }

    def _tasks(self) -> list[Any]:
        """The tasks on documents spread evenly over all: the first ones would be of a few concepts."""
        from lmms_eval.tasks import TaskManager, get_task_dict

        tasks = get_task_dict(list(self.evaluation.tasks), TaskManager(), "chat")
        for task in tasks.values():
            split = task.config.test_split
            whole = task.dataset[split]
            step = max(1, len(whole) // self.evaluation.documents)
            chosen = range(0, len(whole), step)[: self.evaluation.documents]
            for dataset in (task.dataset, task.dataset_no_image):
                dataset[split] = dataset[split].select(chosen) if len(dataset[split]) == len(whole) else dataset[split]
        return list(tasks.values())
