"""The tasks that other kits can ask as they are: one question about one image, answered by a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from finer_tasks.datasets.prepared import Prepared
from finer_tasks.errors import FinerError
from finer_tasks.tasks import questions
from finer_tasks.tasks.binding import identify
from finer_tasks.tasks.table import ABSTAINING, NAMING, VARIANTS, Metric, TaskInfo, Variant, tasks_by_name


class ExchangeError(FinerError):
    """A task cannot be given to another kit, or a result file of one cannot be taken."""


@dataclass(frozen=True)
class Asked:
    """A task with its prepared documents, and what identifies a run of it."""

    task: TaskInfo
    prepared: Prepared
    identity: Mapping[str, Any]
    metrics: tuple[Metric, ...]

    def documents(self) -> Iterator[dict[str, Any]]:
        """The documents of the test split in the order in which lmms-eval numbers them."""
        table = self.prepared.tables()["test"]
        yield from table.select_columns([name for name in table.column_names if name != "embedded_image"])

    def question(self, document: Mapping[str, Any]) -> str:
        """What is asked about a document."""
        return questions.ask(document, self.task.variant, self.task.level, self.task.parent)


def asked(name: str) -> Asked:
    """The task of that name; raises ExchangeError where it does not ask for a name in one turn, FinerError without its data."""
    if (task := tasks_by_name().get(name)) is None:
        raise ExchangeError(f"{name} is no task of this version of finer-tasks; `finer tasks` lists them")
    variant = next(variant for variant in VARIANTS if variant.name == task.way)
    if not _is_one_question(variant):
        raise ExchangeError(
            f"{name} cannot be asked by another kit: it asks in several turns, without the image, or for more than a name. "
            f"Take one such as finer_{task.dataset}_{task.level}"
        )
    config = {"task": name, "dataset_path": task.dataset, "test_split": "test"}
    prepared, identity = identify(config | {"lmms_eval_specific_kwargs": dict(variant.settings(task.level))})
    return Asked(task, prepared, identity, variant.metrics or NAMING)


def _is_one_question(variant: Variant) -> bool:
    several = variant.next_question or variant.conversation
    names = variant.metrics in ((), ABSTAINING) and not variant.similarity and not variant.choices
    return variant.image and names and not several
