"""What tuning gained and lost: every state against the one before tuning, on the same documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finer_tasks.errors import ResultsError
from finer_tasks.models.perplexity import TextLoss
from finer_tasks.retention.scores import Scores
from finer_tasks.retention.states import BEFORE, State
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.paired import Demand, compare, holm, sign_flip, unbounded_interval

ALPHA, POWER = 0.05, 0.8
Outcome = Literal["lost", "gained", "kept", "not clear"]
Role = Literal["gain", "retained", "text"]
TEXT_METRIC = "bits per byte"


@dataclass(frozen=True)
class Change:
    """A state against the one before, below zero being worse whatever the metric.

    low, high: bounds of the difference, each one-sided at 5 %. p: one-sided, of a loss; p_holm: over all measures of the
    state. detectable: the smallest true loss that these documents would show; None for texts and for scores that are no
    shares from 0 to 1, or where there is none. Bounds are infinite where such a measure has one cluster.
    """

    difference: float
    low: float
    high: float
    p: float
    worse: int
    better: int
    detectable: float | None
    p_holm: float
    outcome: Outcome


@dataclass(frozen=True)
class Point:
    """A measure of a state. perplexity: of texts, over all tokens. change: None for the state before."""

    state: str
    step: int | None
    value: float
    perplexity: float | None
    change: Change | None


@dataclass(frozen=True)
class Curve:
    """A measure over the states, in their order."""

    measure: str
    metric: str
    higher_is_better: bool
    role: Role
    documents: int
    clusters: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Measure:
    """Values by document of every state, turned so that higher is better; perplexities where they are of texts."""

    name: str
    metric: str
    higher_is_better: bool
    role: Role
    clusters: Sequence[str]
    values: Mapping[str, Floats]
    perplexity: Mapping[str, float]


def of_task(by_state: Mapping[str, Scores], role: Role) -> Measure:
    """A task over all states; raises ResultsError where they were not asked the same."""
    before = by_state[BEFORE]
    for state, scores in by_state.items():
        if scores.metric != before.metric:
            raise ResultsError(
                f"{before.task}: documents have a number for {scores.metric} in {state}, and for {before.metric} in {BEFORE}. "
                f"Name one that both have by --metric {before.task}=METRIC"
            )
        if scores.identity != before.identity:
            raise ResultsError(
                f"{before.task}: its data, prompts or version were others for {state} than for {BEFORE}. "
                "Delete the folder of evaluations and run again"
            )
        if scores.ids != before.ids or scores.contents != before.contents:
            pairs = zip((*before.ids, ""), (*before.contents, ""), (*scores.contents, ""), strict=False)
            example = next((identity for identity, one, other in pairs if one != other), "the number of documents")
            raise ResultsError(
                f"{before.task}: {state} and {BEFORE} were not asked the same, for example {example}. "
                "The task or its data changed meanwhile; delete the folder of evaluations and run again"
            )
    sign = 1.0 if before.higher_is_better else -1.0
    values = {state: sign * scores.values for state, scores in by_state.items()}
    return Measure(before.task, before.metric, before.higher_is_better, role, before.clusters, values, {})


def of_texts(name: str, by_state: Mapping[str, Sequence[TextLoss]]) -> Measure:
    """A set of texts over all states: each text's share of the bits per byte of all, so that their mean is that figure.

    Bits per byte compare models of different tokenizers, for the bytes stay the same.
    """
    before = by_state[BEFORE]
    if not sum(loss.tokens for loss in before):
        raise ResultsError(f"{name}: no text has a token that something stands before. Give longer texts")
    per_text = sum(loss.bytes for loss in before) / len(before)
    values = {state: -np.array([loss.nats for loss in losses]) / np.log(2) / per_text for state, losses in by_state.items()}
    perplexity = {
        state: float(np.exp(sum(loss.nats for loss in losses) / sum(loss.tokens for loss in losses)))
        for state, losses in by_state.items()
    }
    clusters = [f"text {number}" for number in range(len(before))]
    return Measure(f"texts: {name}", TEXT_METRIC, False, "text", clusters, values, perplexity)


def curves(measures: Sequence[Measure], states: Sequence[State], margin: float, seed: int = 0) -> list[Curve]:
    """Every measure over all states; the p values of a state are adjusted for all of its measures (Holm)."""
    changes: dict[tuple[str, str], Change] = {}
    for state in states[1:]:
        first = [_change(measure, state.name, len(measures), seed) for measure in measures]
        adjusted = holm([change.p for change in first], ALPHA)
        for measure, change, p in zip(measures, first, adjusted, strict=True):
            changes[measure.name, state.name] = _judged(change, p, margin)
    return [_curve(measure, states, changes) for measure in measures]


def _change(measure: Measure, state: str, tests: int, seed: int) -> Change:
    before, after = measure.values[BEFORE], measure.values[state]
    worse, better = int((after < before).sum()), int((after > before).sum())
    if max(np.abs(before).max(), np.abs(after).max()) > 1 or measure.role == "text":
        clusters = Clusters.of(measure.clusters)
        low, high = unbounded_interval(after - before, clusters, ALPHA, seed)
        p = sign_flip(clusters.sums(after - before), seed)
        return Change(float((after - before).mean()), low, high, p, worse, better, None, p, "not clear")
    found = compare(before, after, measure.clusters, Demand(ALPHA, POWER, tests), seed)
    return Change(
        found.difference, found.low, found.high, found.p, worse, better, found.detectable, found.p, "not clear"
    )  # fmt: skip


def _judged(change: Change, p_holm: float, margin: float) -> Change:
    outcome: Outcome = "not clear"
    if p_holm <= ALPHA and change.difference < 0:
        outcome = "lost"
    elif change.low > 0:
        outcome = "gained"
    elif change.low > -margin:
        outcome = "kept"
    return Change(**{**vars(change), "p_holm": p_holm, "outcome": outcome})


def _curve(measure: Measure, states: Sequence[State], changes: Mapping[tuple[str, str], Change]) -> Curve:
    sign = 1.0 if measure.higher_is_better else -1.0
    points = tuple(
        Point(
            state.name,
            state.step,
            sign * float(measure.values[state.name].mean()),
            measure.perplexity.get(state.name),
            changes.get((measure.name, state.name)),
        )
        for state in states
    )
    return Curve(
        measure.name, measure.metric, measure.higher_is_better, measure.role,
        len(measure.clusters), len(set(measure.clusters)), points,
    )  # fmt: skip
