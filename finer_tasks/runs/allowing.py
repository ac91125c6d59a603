"""`--allow`: what a command refuses to work with unless it is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, get_args

from finer_tasks.errors import ResultsError
from finer_tasks.replies import Unanswered

REASONS: tuple[Unanswered, ...] = get_args(Unanswered)
# Why a document has no answer where the backend is to blame, and not the model.
FAILED: Unanswered = "request_failed"


class Task(Protocol):
    """A task, and how many of its documents have no answer of the model."""

    @property
    def name(self) -> str: ...

    @property
    def unanswered(self) -> Mapping[Unanswered, int]: ...


def check_allowed(allow: Collection[str], known: Collection[str]) -> None:
    """Raise ResultsError for a name that the command does not know."""
    if unknown := sorted(set(allow) - set(known)):
        raise ResultsError(f"--allow {unknown[0]}: unknown; known are {', '.join(known)}")


def require_answered(tasks: Iterable[Task], allow: Collection[str], reasons: Collection[Unanswered] = REASONS) -> None:
    """Raise ResultsError if documents have no answer of the model for one of the reasons, unless `allow` names it."""
    refused: dict[Unanswered, None] = {}
    told = []
    for task in tasks:
        counts = {why: count for why, count in task.unanswered.items() if why in reasons and why not in allow}
        refused |= dict.fromkeys(counts)
        told += [f"{task.name}: {', '.join(f'{count} x {why}' for why, count in counts.items())}"] if counts else []
    if told:
        raise ResultsError(
            f"not all documents have an answer of the model: {'; '.join(told)}. Run it again, or count them as wrong with "
            f"--allow {','.join(refused)}"
        )
