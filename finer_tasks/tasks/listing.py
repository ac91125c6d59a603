"""Listing our tasks from their YAMLs, without importing lmms-eval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import FinerError


class _Loader(yaml.SafeLoader):
    """Reads `!function x.y` as the text x.y."""


def _function_name(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("!function", _function_name)


@dataclass(frozen=True)
class TaskInfo:
    """One task as its YAML states it; `attributes` if it needs the knowledge base."""

    name: str
    dataset: str
    level: str
    variant: str
    parent: str
    attributes: bool


def task_files() -> list[Path]:
    """All YAMLs of tasks and groups."""
    return sorted(Path(str(resources.files("finer_tasks.task_yamls"))).rglob("*.yaml"))


def load_yaml(path: Path) -> dict[str, Any]:
    """A task's or group's YAML with its includes merged, own keys over included ones."""
    raw: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    include = raw.pop("include", None)
    return (load_yaml(path.parent / include) | raw) if include else raw


def list_tasks() -> list[TaskInfo]:
    """All single tasks, sorted by name."""
    found = []
    for path in task_files():
        config = load_yaml(path)
        if isinstance(config.get("task"), str):
            found.append(_info(config))
    return sorted(found, key=lambda task: task.name)


def list_groups() -> dict[str, list[str]]:
    """All groups with their members."""
    groups = {}
    for path in task_files():
        config = load_yaml(path)
        if isinstance(config.get("task"), list):
            groups[config["group"]] = list(config["task"])
    return dict(sorted(groups.items()))


def data_state(dataset: str) -> str:
    """'prepared', 'partial', 'train only', 'built in', or 'not prepared'."""
    if dataset == "mini":
        return "built in"
    try:
        manifest = load_prepared(dataset).manifest
        return "train only" if "test" not in manifest.splits else "partial" if manifest.partial else "prepared"
    except FinerError:
        return "not prepared"


def _info(config: Mapping[str, Any]) -> TaskInfo:
    kwargs = config["lmms_eval_specific_kwargs"]
    variant, attributes = kwargs.get("variant", "direct"), bool(kwargs.get("attributes"))
    return TaskInfo(config["task"], config["dataset_path"], kwargs["level"], variant, kwargs["parent"], attributes)
