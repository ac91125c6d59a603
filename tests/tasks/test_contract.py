"""Where lmms-eval has changed under us, runs of our tasks end with the reason and all others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import lmms_eval.models  # noqa: F401  it removes every sink of loguru when it is first loaded
import pytest
from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.tasks import TaskManager
from loguru import logger

from finer_tasks.tasks import contract, plugin
from finer_tasks.tasks.contract import TESTED_LMMS_EVAL, ChangedLmmsEvalError


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    found: list[str] = []
    sink = logger.add(found.append, level="WARNING", format="{message}")
    yield found
    logger.remove(sink)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """TaskManager as it is after the test, whatever a refusal wraps."""
    for name in contract._ASKING:
        monkeypatch.setattr(TaskManager, name, getattr(TaskManager, name))


def test_this_lmms_eval_is_a_tested_one_and_has_what_we_need() -> None:
    assert metadata.version("lmms_eval") in TESTED_LMMS_EVAL
    contract.check()


def renamed(self: Any, tasks: Any) -> Any:
    return tasks


@pytest.mark.parametrize(
    ("owner", "name", "now", "message"),
    [
        (TaskManager, "initialize_tasks", None, "lmms_eval.tasks.TaskManager.initialize_tasks is gone"),
        (
            TaskManager,
            "initialize_tasks",
            renamed,
            "lmms_eval.tasks.TaskManager.initialize_tasks takes no 'include_path' any more",
        ),
        (ResponseCache, "_lookup", None, "lmms_eval.caching.response_cache.ResponseCache._lookup is gone"),
    ],
)
def test_our_tasks_are_refused_when_they_are_asked_for_and_no_others(
    owner: type, name: str, now: Callable[..., Any] | None, message: str,
    monkeypatch: pytest.MonkeyPatch, fresh: None, warnings: list[str],
) -> None:  # fmt: skip
    manager = TaskManager(include_defaults=False)
    manager._task_index, manager._all_tasks = {"mme": {"type": "task", "yaml_path": -1}}, ["mme"]
    monkeypatch.delattr(owner, name) if now is None else monkeypatch.setattr(owner, name, now)
    assert [manifest.model_id for manifest in plugin.register()] == ["finer_hf"]
    assert len(warnings) == 1
    assert message in warnings[0]
    assert "Other tasks are not touched" in warnings[0]
    for asked in (["finer_cub_fine"], ["mme", "finer_mini_*"], ["finer"]):
        with pytest.raises(ChangedLmmsEvalError, match=f"{message}. Install lmms-eval 0.7.3"):
            manager.match_tasks(asked)
    with pytest.raises(ChangedLmmsEvalError):
        manager.load_task_or_group("finer_cub_fine")
    assert manager.match_tasks(["mme", "finer_of_mine"]) == ["mme"]


def test_what_nobody_foresaw_ends_no_run_of_others(monkeypatch: pytest.MonkeyPatch, fresh: None, warnings: list[str]) -> None:
    def broken() -> None:
        raise KeyError("x")

    monkeypatch.setattr(plugin, "_extend", broken)
    assert plugin.register()
    assert "KeyError: 'x'" in warnings[0]


def test_another_version_is_warned_about_and_still_works(monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    monkeypatch.setattr(contract, "TESTED_LMMS_EVAL", ("0.0.1",))
    assert [manifest.model_id for manifest in plugin.register()] == ["finer_hf"]
    assert "was tested with lmms-eval 0.0.1" in warnings[0]
