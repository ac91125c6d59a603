"""Which documents of two runs are the same, and why two runs must not be compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from finer_tasks.errors import ResultsError
from finer_tasks.gate.measured import Document, Measured, MeasuredTask
from finer_tasks.text import shortened

Side = tuple[Measured, MeasuredTask]


def _identity(key: str) -> Callable[[Side], Any]:
    return lambda side: side[1].identity.get(key)


# What must agree, by the name under which `--allow` lets it differ.
CONDITIONS: Mapping[str, Callable[[Side], Any]] = {
    "prompts": lambda side: (side[1].identity.get("prompt_set"), side[1].identity.get("prompt_hash")),
    "parent": _identity("parent"),
    "data": _identity("data_fingerprint"),
    "partial_data": _identity("data_partial"),
    "official_split": lambda side: side[1].identity.get("data_official", True),  # older versions did not say
    "attributes": _identity("attributes_fingerprint"),
    "similarity": _identity("similarity"),
    "rounds": _identity("rounds"),
    "choices": _identity("choices"),
    "scoring": _identity("scoring"),
    "taxonomy": _identity("taxonomy"),
    "decoding": lambda side: dict(side[1].generation),
    "lmms_eval": lambda side: side[0].settings.get("lmms_eval_version"),
}
DOCUMENTS = "documents"


@dataclass(frozen=True)
class Pairs:
    """The documents that both sides of a task have, and how many are on one side only or changed."""

    task: str
    ids: tuple[str, ...]
    baseline: tuple[Document, ...]
    candidate: tuple[Document, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    changed: tuple[str, ...]
    differing: tuple[str, ...]


def pair(baseline: Measured, candidate: Measured, task: str, allow: Collection[str]) -> Pairs:
    """Match a task's documents by id and content; raises ResultsError naming what differs, unless it is allowed."""
    before, after = baseline.tasks[task], candidate.tasks[task]
    sides = (baseline, before), (candidate, after)
    differing = []
    for name, read in CONDITIONS.items():
        old, new = (read(side) for side in sides)
        if old != new:
            if name not in allow:
                raise ResultsError(
                    f"{task}: {name} differs: {shortened(old)} in the baseline, {shortened(new)} in the candidate. "
                    f"Evaluate both alike, or compare all the same with --allow {name}"
                )
            differing.append(name)
    missing = tuple(i for i in before.documents if i not in after.documents)
    extra = tuple(i for i in after.documents if i not in before.documents)
    both = [i for i in before.documents if i in after.documents]
    asked_alike = not {"prompts", "parent", "data", "attributes"} & set(differing)
    changed = tuple(i for i in both if asked_alike and before.documents[i].content != after.documents[i].content)
    if (missing or extra or changed) and DOCUMENTS not in allow:
        example = (*missing, *extra, *changed)[0]
        raise ResultsError(
            f"{task}: the documents differ: {len(missing)} of the baseline are missing, {len(extra)} are extra, "
            f"{len(changed)} have other labels or another question, for example {example}. "
            f"Evaluate both on the same documents, or compare the rest with --allow {DOCUMENTS}"
        )
    left_out = set(changed)
    ids = tuple(i for i in both if i not in left_out)
    if not ids:
        raise ResultsError(f"{task}: the two runs have no document in common")
    return Pairs(
        task,
        ids,
        tuple(before.documents[i] for i in ids),
        tuple(after.documents[i] for i in ids),
        missing,
        extra,
        changed,
        tuple(differing),
    )
