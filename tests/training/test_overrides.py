"""A transformers or a TRL that has changed what our trainers override is named before a run begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer, __version__

from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tuning.overrides import TESTED
from finer_tasks.training.tuning.recipe import TrainRecipe
from finer_tasks.training.tuning.running import RunTrainer
from finer_tasks.training.tuning.setup import prepare_run
from finer_tasks.training.tuning.trainer import FinerTrainer


def one_more(self: Any, model: Any, trial: Any, metrics: Any = None) -> None: ...


def renamed(self: Any, loss: Any, grad_norm: Any, model: Any) -> None: ...


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("_save_checkpoint", one_more, r"Trainer._save_checkpoint takes \(self, model, trial, metrics\), not \(self, model, trial\)"),
        ("_maybe_log_save_evaluate", renamed, r"takes \(self, loss, grad_norm, model\), not \(self, tr_loss, grad_norm\)"),
        ("_run_epoch", None, "Trainer has no _run_epoch"),
    ],
)  # fmt: skip
def test_a_changed_method_is_named_with_the_versions_that_were_tested(
    name: str, changed: Callable[..., Any] | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changed is None:
        monkeypatch.delattr(Trainer, name)
    else:
        monkeypatch.setattr(Trainer, name, changed)
    with pytest.raises(
        TrainingError, match=rf"transformers {__version__} has changed: its .*{message}.*tested with .*5\.24\.0"
    ):
        prepare_run(TrainRecipe("finer-mini", tmp_path, tmp_path / "o"))


@pytest.mark.parametrize("kind", [RunTrainer, FinerTrainer])
def test_every_override_is_marked_and_what_is_installed_was_tested(kind: type) -> None:
    ours = {name for name, method in vars(kind).items() if callable(method) and hasattr(Trainer, name)}
    marked = {name for name in ours if getattr(vars(kind)[name], "__override__", False)}
    assert ours - marked == {"__init__"}
    assert __version__ in TESTED["transformers"]
