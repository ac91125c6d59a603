"""FINER tasks during training: the model being trained, through lmms-eval, on a part of the documents."""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.tasks.table import tasks_by_name
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.modules import use_cache
from finer_tasks.training.tuning.precision import Precision, autocast
from finer_tasks.training.tuning.recipe import Evaluation

SCORES = ("em", "em_strict")


def require_tasks(evaluation: Evaluation) -> None:
    """Raise TrainingError for an unknown task and NotPreparedError where the data are absent; loads no model."""
    known = tasks_by_name()
    for name in evaluation.tasks:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`finer tasks` lists them"
            raise TrainingError(f"evaluation.tasks: {name!r} is no single task; {hint}")
        ensure_prepared(known[name].dataset).check("test")


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give every random generator back as it was: lmms-eval seeds them all."""
    python, arrays = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)


class TaskEvaluation:
    """Callable on a step; returns em and em_strict by task."""

    def __init__(self, evaluation: Evaluation, pretrained: str, model: Any, precision: Precision) -> None:
        self.evaluation, self.precision = evaluation, precision
        # A processor of its own: generation pads on the left, training on the right.
        self.processor = load_processor(LoadOptions(pretrained))
        self.pretrained, self.model = pretrained, model

    def __call__(self, step: int) -> dict[str, float]:
        """Evaluate and give the model back as it was."""
        from lmms_eval.evaluator import simple_evaluate

        was_training = self.model.training
        self.model.eval()
        use_cache(self.model, True)
        try:
            answerer = FinerHF.of(self.model, self.processor, self.evaluation.batch_size, self.pretrained)
            with generators_kept(), autocast(self.precision, answerer.device):
                found = simple_evaluate(
                    model=answerer,
                    tasks=self._tasks(),
                    task_manager=self._manager,
                    log_samples=False,
                    bootstrap_iters=0,
                )
        finally:
            self.model.train(was_training)
            use_cache(self.model, False)
        results = (found or {}).get("results", {})  # None on all processes but the first
        return {
            f"{task}_{score}": float(results[task][f"{score},none"])
            for task in self.evaluation.tasks
            for score in SCORES
            if f"{score},none" in results.get(task, {})
        }

    @cached_property
    def _manager(self) -> Any:
        """Knows the tasks of this package alone: to read those of lmms-eval takes seconds."""
        from lmms_eval.tasks import TaskManager

        return TaskManager(include_defaults=False)

    def _tasks(self) -> list[Any]:
        """The tasks on documents spread evenly over all: the first ones would be of a few concepts."""
        from lmms_eval.tasks import get_task_dict

        tasks = get_task_dict(list(self.evaluation.tasks), self._manager, "chat")
        for task in tasks.values():
            split = task.config.test_split
            whole = task.dataset[split]
            chosen = spread_over(len(whole), self.evaluation.documents)
            for dataset in (task.dataset, task.dataset_no_image):
                dataset[split] = dataset[split].select(chosen) if len(dataset[split]) == len(whole) else dataset[split]
        return list(tasks.values())


def spread_over(size: int, wanted: int) -> list[int]:
    """As many of the first `size` numbers as wanted, all of them if that is more, evenly spread from 0."""
    wanted = min(wanted, size)
    return [index * size // wanted for index in range(wanted)]
