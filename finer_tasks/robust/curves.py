"""Scores against severity: a curve for each level and way of asking, on the same documents (Kim & Ji 2024, open question 3).

Severity 0 are the images as published. The slope is that of the straight line fitted to a score over the severities by
least squares: what is lost with each step. It is a weighted sum of each document's scores, so one bootstrap over
concepts gives the intervals of every figure, paired between severities and between ways of asking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.seen import published_fingerprint
from finer_tasks.errors import ResultsError
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.runs.comparing import Conditions, Side, decoding, of_identity, require_alike_but, require_same_documents
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate, estimate
from finer_tasks.statistics.clusters import Floats
from finer_tasks.statistics.paired import sign_flip

METRICS = ("em", "em_strict")
ALPHA = 0.05
# With fewer, no signs of their differences are as rare as that.
_FEWEST = 6
DIRECT = "direct"
Verdict = Literal["more slowly", "faster", "cannot tell"]
# What must agree for all severities and ways of asking, by the name under which it may be allowed to differ.
CONDITIONS: Conditions = {
    "model": lambda side: side[0].model,
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "data": lambda side: (published_fingerprint(side[1].identity), side[1].identity.get("data_source")),
    "scoring": of_identity("scoring", "taxonomy"),
}
# The same for the severities of one way of asking: ways may differ in how long an answer may get.
OF_A_WAY: Conditions = {
    **CONDITIONS,
    "decoding": decoding,
    "rounds": of_identity("rounds"),
    "attributes": of_identity("attributes_fingerprint"),
}


@dataclass(frozen=True)
class Point:
    """A score at one severity; `lost` is what severity 0 had more, on the same documents, `kept` the share of it that is left.

    `kept` is None where severity 0 has no right answer, or where a draw of concepts may have none.
    """

    severity: int
    score: Estimate
    lost: Estimate
    kept: Estimate | None


@dataclass(frozen=True)
class Curve:
    """One way of asking: its points, and the change of the score with each step of severity."""

    way: str
    metric: str
    points: tuple[Point, ...]
    slope: Estimate


@dataclass(frozen=True)
class Contrast:
    """A way of asking against the direct question.

    more_kept: by severity, what the direct question lost minus what this way lost. slope: this way's slope minus the direct
    one's. Above zero, this way degrades more slowly. share_kept: the same for the mean share kept, which takes account of
    a different start; None where a start may be zero. verdict: by the interval of the slope, which of few concepts is too
    narrow, and so by a sign-flip test as well.
    """

    way: str
    metric: str
    more_kept: Mapping[int, Estimate]
    slope: Estimate
    share_kept: Estimate | None
    verdict: Verdict


@dataclass(frozen=True)
class Robustness:
    """One dataset and level under one perturbation."""

    dataset: str
    level: str
    perturbation: str
    seed: int
    amounts: Mapping[int, str]
    documents: int
    concepts: int
    curves: tuple[Curve, ...]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]


# By way of asking and severity.
_Sides = dict[str, dict[int, Side]]


def robustness(runs: Sequence[Run], allow: Collection[str] = (), seed: int = 0) -> list[Robustness]:
    """One for each dataset, level, perturbation and seed of places; raises ResultsError where runs are not comparable.

    `allow` names conditions that may differ, or request_failed; a note says so.
    """
    check_allowed(allow, (*OF_A_WAY, FAILED))
    published: dict[tuple[str, str], dict[str, Side]] = {}
    perturbed: dict[tuple[str, str, str, int], _Sides] = {}
    for side in ((run, task) for run in runs for task in run.tasks if task.names_concepts):
        identity = side[1].identity
        way, place = _way(side[1]), (identity["dataset"], identity["level"])
        if told := identity.get("perturbation"):
            sides = perturbed.setdefault((*place, told["name"], told["seed"]), {})
            _add(sides.setdefault(way, {}), told["severity"], side)
        else:
            _add(published.setdefault(place, {}), way, side)
    if not perturbed:
        raise ResultsError("no run on perturbed images among the results; evaluate some with FINER_PERTURB=occlusion:3")
    order = sorted(perturbed.items(), key=lambda item: (item[0][0], LEVELS.index(item[0][1]), item[0][2:]))
    return [_robustness(sides, published.get((dataset, level), {}), allow, seed) for (dataset, level, _, _), sides in order]


def _way(task: TaskRun) -> str:
    """The way of asking, with the parent it names where that is not the gold one."""
    parent = task.identity["parent"]
    usual = parent == "gold" or task.identity["level"] == LEVELS[0]
    return str(task.identity["variant"]) + ("" if usual else f", parent {parent}")


def _add(sides: dict[Any, Side], key: str | int, side: Side) -> None:
    if key in sides:
        raise ResultsError(f"{side[1].name} is in more than one of the results at one severity; give one run of each")
    sides[key] = side


def _robustness(sides: _Sides, published: Mapping[str, Side], allow: Collection[str], seed: int) -> Robustness:
    for way, by_severity in sides.items():
        if way not in published:
            name = next(iter(by_severity.values()))[1].name
            raise ResultsError(f"{name} was run on perturbed images only; give a run on the images as published as well")
        by_severity[0] = published[way]
    sides = {way: dict(sorted(sides[way].items())) for way in sorted(sides, key=lambda way: (way != DIRECT, way))}
    differing = _require_comparable(sides, allow)
    first = next(iter(sides.values()))
    task = first[0][1]
    ids = [sample.record["id"] for sample in task.samples]
    resample = Bootstrap(task.clusters, seed)
    told = next(side[1].identity["perturbation"] for severity, side in first.items() if severity)
    curves, contrasts = [], []
    for metric in METRICS:
        scores = {way: {s: _scores(side[1], ids, metric) for s, side in found.items()} for way, found in sides.items()}
        curves += [_curve(way, metric, found, resample) for way, found in scores.items()]
        if DIRECT in scores:
            others = [way for way in scores if way != DIRECT and set(scores[way]) == set(scores[DIRECT])]
            contrasts += [_contrast(way, metric, scores[way], scores[DIRECT], resample, seed) for way in others]
    return Robustness(
        dataset=task.identity["dataset"],
        level=task.identity["level"],
        perturbation=told["name"],
        seed=told["seed"],
        amounts={s: str(side[1].identity["perturbation"].get("what", "")) for s, side in first.items() if s},
        documents=len(ids),
        concepts=len(resample.clusters),
        curves=tuple(curves),
        contrasts=tuple(contrasts),
        notes=tuple(_notes(sides, differing, len(resample.clusters))),
    )


def _require_comparable(sides: _Sides, allow: Collection[str]) -> list[str]:
    """All of the same model, prompts, data and documents, perturbed in the same places; returns what may differ and does."""
    every = [side for found in sides.values() for side in found.values()]
    require_answered([task for _, task in every], allow, [FAILED])
    differing: set[str] = set()
    for side in every[1:]:
        differing |= require_alike_but(side, every[0], CONDITIONS, allow)
        require_same_documents(side[1], every[0][1])
    for found in sides.values():
        for side in found.values():
            differing |= require_alike_but(side, found[0], OF_A_WAY, allow)
    perturbed = [side for found in sides.values() for severity, side in found.items() if severity]
    for side in perturbed[1:]:
        require_alike_but(side, perturbed[0], {"places": _places}, ())
    return sorted(differing)


def _places(side: Side) -> dict[str, object]:
    """What decides where an image is perturbed, and by which version; the severity is what is compared."""
    return {key: value for key, value in side[1].identity["perturbation"].items() if key not in ("severity", "what")}


def _scores(task: TaskRun, ids: Sequence[str], metric: str) -> Floats:
    found = {sample.record["id"]: sample.score(metric) for sample in task.samples}
    return np.array([found[identity] for identity in ids])


def _curve(way: str, metric: str, scores: Mapping[int, Floats], resample: Bootstrap) -> Curve:
    start = scores[0]
    points = tuple(
        Point(severity, resample.mean(values), resample.mean(start - values), _kept([values], start, resample))
        for severity, values in scores.items()
    )
    return Curve(way, metric, points, resample.mean(_slopes(scores)))


def _slopes(scores: Mapping[int, Floats]) -> Floats:
    """The least-squares slope over severity of each document's scores."""
    steps = np.array(list(scores), dtype=float)
    centred = steps - steps.mean()
    weights = centred / (centred**2).sum()
    slopes: Floats = weights @ np.stack(list(scores.values()))
    return slopes


def _share(scores: Sequence[Floats], start: Floats, resample: Bootstrap) -> tuple[float, Floats] | None:
    """Mean over the severities as a share of the start, and the same in every draw; None where a start is zero."""
    under = resample.means(start)
    if not (start.any() and under.all()):
        return None
    mean: Floats = np.mean(scores, axis=0)
    return float(mean.mean() / start.mean()), resample.means(mean) / under


def _kept(scores: Sequence[Floats], start: Floats, resample: Bootstrap) -> Estimate | None:
    share = _share(scores, start, resample)
    return estimate(*share) if share else None


def _contrast(
    way: str, metric: str, scores: Mapping[int, Floats], direct: Mapping[int, Floats], resample: Bootstrap, seed: int
) -> Contrast:
    def lost(one: Mapping[int, Floats], severity: int) -> Floats:
        return one[0] - one[severity]

    severities = [severity for severity in scores if severity]
    shares = [_share([one[severity] for severity in severities], one[0], resample) for one in (scores, direct)]
    both = [share for share in shares if share]
    slopes = _slopes(scores) - _slopes(direct)
    slope, p = resample.mean(slopes), sign_flip(resample.clusters.sums(slopes), seed, "two-sided")
    return Contrast(
        way,
        metric,
        {s: resample.mean(lost(direct, s) - lost(scores, s)) for s in severities},
        slope,
        estimate(both[0][0] - both[1][0], both[0][1] - both[1][1]) if len(both) == 2 else None,
        "cannot tell" if p > ALPHA else "more slowly" if slope.low > 0 else "faster" if slope.high < 0 else "cannot tell",
    )


def _notes(sides: _Sides, differing: Sequence[str], concepts: int) -> list[str]:
    notes = [f"compared although {', '.join(differing)} differ between the runs"] if differing else []
    if concepts < _FEWEST:
        notes.append(f"fewer than {_FEWEST} concepts: intervals are too narrow, and no way of asking can be told from another")
    told = next(side[1].identity["perturbation"] for found in sides.values() for severity, side in found.items() if severity)
    if without := told.get("images_without_a_box"):
        known = told.get("images_with_a_box")
        notes.append(
            f"{without} images have no published box, the patch is anywhere in them" + (f"; {known} have one" if known else "")
        )
    if len({tuple(found) for found in sides.values()}) > 1:
        notes.append("not all ways of asking were run at the same severities; those that were are set against the direct one")
    for way, found in sides.items():
        for severity, (_, task) in found.items():
            if failed := task.unanswered.get(FAILED, 0):
                notes.append(f"{way}, severity {severity}: {failed} requests were not answered and count as wrong")
    if any(task.identity.get("data_partial") for found in sides.values() for _, task in found.values()):
        notes.append("from a partial copy of the dataset")
    return notes
