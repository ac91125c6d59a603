"""`finer compare-backends`: on which documents two runs of the same questions differ, why, and whether the scores do.

Two runs of one model differ where one renders the prompt or makes the pixels otherwise, decodes by other settings, or
sums in another order or precision, which turns greedy decoding where two tokens are nearly level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from finer_tasks.backends.reasons import Difference, Reader, Reason, Words, difference, settings_that_differ
from finer_tasks.errors import ResultsError
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.runs.comparing import Conditions, Side, of_identity, require_alike_but, require_same_documents
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.statistics.bootstrap import CONFIDENCE
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.paired import holm, interval, mcnemar, sign_flip

# What must agree, by the name under which it may be allowed to differ.
CONDITIONS: Conditions = {
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "parent": of_identity("level", "variant", "parent"),
    "choices": of_identity("choices"),
    "data": of_identity("data_fingerprint", "data_source", "data_partial"),
    "taxonomy": of_identity("taxonomy"),
    "attributes": of_identity("attributes_fingerprint", "similarity"),
    "scoring": of_identity("scoring"),
}
WEIGHTS = "weights"


@dataclass(frozen=True)
class Measure:
    """How two runs differ in one score, over the same documents.

    low, high: interval of the mean difference, B less A, by concept. p: two-sided, the larger of the exact McNemar test (of 0/1
    scores) and a sign-flip test over concepts; p_holm: adjusted over the tasks.
    """

    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    only_a: int
    only_b: int
    p: float
    p_holm: float = float("nan")


@dataclass(frozen=True)
class TaskComparison:
    """One task in both runs.

    Attributes:
        replies: documents whose replies differ in any character.
        answers: documents whose answers differ as they are scored, but for case and white space.
        verdicts: documents whose score differs.
        reasons: how many of the differing replies are put down to what.
        settings: what is recorded of both runs and differs, or of one only, as (of A, of B).
        unknown: what is recorded of neither run, or of one.
        margins: medians of the least margin, of A, over documents whose replies agree and differ; None where not recorded.
        differing: the documents whose replies differ.
    """

    task: str
    documents: int
    concepts: int
    replies: int
    answers: int
    verdicts: int
    measure: Measure
    reasons: Mapping[Reason, int]
    settings: Mapping[str, tuple[Any, Any]]
    unknown: tuple[str, ...]
    margins: tuple[float | None, float | None]
    allowed: tuple[str, ...]
    differing: tuple[Difference, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class BackendComparison:
    """Two runs, the tasks that both have, and those that one has alone."""

    a: Run
    b: Run
    tasks: tuple[TaskComparison, ...]
    not_compared: tuple[str, ...]


def compare_backends(
    a: Run, b: Run, allow: Collection[str] = (), seed: int = 0, reader: Reader | None = None
) -> BackendComparison:
    """Compare the tasks that both runs have.

    Raises ResultsError where they have none in common, or one of other questions, data, weights or documents. `allow` names
    what may differ, or request_failed. `reader` parts a reply into tokens; without one, into words.
    """
    check_allowed(allow, (*CONDITIONS, WEIGHTS, FAILED))
    theirs = {task.name: task for task in b.tasks}
    common = [(task, theirs[task.name]) for task in a.tasks if task.name in theirs]
    if not common:
        raise ResultsError(f"{a.path} and {b.path} have no task in common. Run the same tasks by both backends")
    found = [_task((a, mine), (b, other), allow, seed, reader or Words()) for mine, other in common]
    adjusted = holm([one.measure.p for one in found], 1 - CONFIDENCE)
    tasks = tuple(replace(one, measure=replace(one.measure, p_holm=p)) for one, p in zip(found, adjusted, strict=True))
    names = {mine.name for mine, _ in common}
    rest = tuple(sorted({task.name for task in (*a.tasks, *b.tasks)} - names))
    return BackendComparison(a, b, tasks, rest)


def _task(a: Side, b: Side, allow: Collection[str], seed: int, reader: Reader) -> TaskComparison:
    allowed = require_alike_but(a, b, CONDITIONS, allow) | _other_weights(a, b, allow)
    require_same_documents(a[1], b[1])
    require_answered([a[1], b[1]], allow, [FAILED])
    by_id = {sample.record["id"]: sample for sample in b[1].samples}
    pairs = [(sample, by_id[sample.record["id"]]) for sample in a[1].samples]
    metric = a[1].main_scores[0]
    settings, unknown = settings_that_differ(a, b)
    differing = tuple(
        difference(mine, its, metric, settings, unknown, reader) for mine, its in pairs if _replies(mine) != _replies(its)
    )
    return TaskComparison(
        task=a[1].name,
        documents=len(pairs),
        concepts=len(a[1].clusters),
        replies=len(differing),
        answers=sum(_answer(mine) != _answer(its) for mine, its in pairs),
        verdicts=sum(mine.score(metric) != its.score(metric) for mine, its in pairs),
        measure=_measure(metric, pairs, a[1], seed),
        reasons=dict(Counter(one.reason for one in differing).most_common()),
        settings=settings,
        unknown=unknown,
        margins=_margins(pairs),
        allowed=tuple(sorted(allowed)),
        differing=differing,
    )


def _other_weights(a: Side, b: Side, allow: Collection[str]) -> set[str]:
    """Whether both runs tell their weights and these differ; raises ResultsError unless that is allowed."""
    told = [side[1].identity.get(WEIGHTS) for side in (a, b)]
    if None in told or told[0] == told[1]:
        return set()
    if WEIGHTS not in allow:
        raise ResultsError(
            f"{a[1].name}: weights differs: {told[0]} and {told[1]}: these are two models, not one run in two ways. Evaluate "
            f"one, or compare all the same with --allow {WEIGHTS}, as for a quantised copy"
        )
    return {WEIGHTS}


def _replies(sample: Sample) -> tuple[str, ...]:
    """What was replied; of a closed set the name that was chosen."""
    return sample.outputs or (sample.answer,)


def _answer(sample: Sample) -> str:
    return " ".join(sample.answer.split()).casefold()


def _measure(metric: str, pairs: Sequence[tuple[Sample, Sample]], task: TaskRun, seed: int) -> Measure:
    a, b = (np.array([pair[side].score(metric) for pair in pairs]) for side in (0, 1))
    differences: Floats = b - a
    clusters: Clusters = task.clusters
    low, high = interval(differences, clusters, (1 - CONFIDENCE) / 2, seed)
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    binary = bool(np.isin((a, b), (0, 1)).all())
    exact = min(1.0, 2 * min(mcnemar(only_a, only_b), mcnemar(only_b, only_a))) if binary else 0.0
    p = max(exact, sign_flip(clusters.sums(differences), seed, "two-sided"))
    return Measure(metric, float(a.mean()), float(b.mean()), float(differences.mean()), low, high, only_a, only_b, p)


def _margins(pairs: Sequence[tuple[Sample, Sample]]) -> tuple[float | None, float | None]:
    """Medians over documents with equal and with differing replies of the smaller of the margins that are recorded."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for mine, its in pairs:
        told = [sample.counts["least_margin"] for sample in (mine, its) if "least_margin" in sample.counts]
        if told:
            found[_replies(mine) == _replies(its)].append(min(told))
    equal, differ = (float(np.median(values)) if values else None for values in (found[True], found[False]))
    return equal, differ
