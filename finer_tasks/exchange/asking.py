"""The tasks that other kits can ask as they are: one question about one image, answered by a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import FinerError
from finer_tasks.options.choosing import Options, active_options
from finer_tasks.tasks import questions
from finer_tasks.tasks.binding import identify
from finer_tasks.tasks.table import ABSTAINING, NAMING, VARIANTS, Metric, TaskInfo, Variant, tasks_by_name

# The way of asking that offers options.
_OPTIONS = "mc"


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

    @property
    def offers_options(self) -> bool:
        """Whether one of several options is to be chosen."""
        return self.task.way == _OPTIONS

    def question(self, document: Mapping[str, Any]) -> str:
        """What is asked about a document; of options the question alone, to which kits add them in their own form."""
        if self.offers_options:
            taxonomy = load_taxonomy(self.task.dataset)
            return f"Which {getattr(taxonomy, f'{self.task.level}_term')} is shown in the image?"
        return questions.ask(document, self.task.variant, self.task.level, self.task.parent)

    def options(self, document: Mapping[str, Any]) -> Options:
        """What is offered about a document, by FINER_CHOICES; raises ChoicesError."""
        return active_options(document, self.task.level)

    def right_answers(self, document: Mapping[str, Any]) -> list[str]:
        """What kits may call the right answer: the labels of the level, or the letter and name of the right option."""
        if not self.offers_options:
            return accepted_labels(document, self.task.level)
        options = self.options(document)
        return [options.letters[options.right], options.names[options.right]]


def asked(name: str) -> Asked:
    """The task of that name; raises ExchangeError where it does not ask for a name in one turn, FinerError without its data."""
    task, variant = _known(name)
    if not _is_one_question(variant):
        raise ExchangeError(
            f"{name} cannot be asked by another kit: it asks in several turns, without the image, or for more than a name. "
            f"Take one such as finer_{task.dataset}_{task.level}"
        )
    return bound(name)


def bound(name: str) -> Asked:
    """The task of that name, whatever it asks; raises FinerError without its data."""
    task, variant = _known(name)
    config = {"task": name, "dataset_path": task.dataset, "test_split": "test"}
    prepared, identity = identify(config | {"lmms_eval_specific_kwargs": dict(variant.settings(task.level))})
    return Asked(task, prepared, identity, variant.metrics or NAMING)


def _known(name: str) -> tuple[TaskInfo, Variant]:
    if (task := tasks_by_name().get(name)) is None:
        raise ExchangeError(f"{name} is no task of this version of finer-tasks; `finer tasks` lists them")
    return task, next(variant for variant in VARIANTS if variant.name == task.way)


def _is_one_question(variant: Variant) -> bool:
    several = variant.next_question or variant.conversation
    names = variant.metrics in ((), ABSTAINING) and not variant.similarity and not variant.choices
    return variant.image and (names or variant.name == _OPTIONS) and not several
