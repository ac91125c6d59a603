"""What the scores of a reproduction show: accuracies, and differences that bear on the paper's claims, with intervals.

An interval holds what other seeds and what other concepts would change (statistics/crossed.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from finer_tasks.errors import ResultsError
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.crossed import Components, Crossed, by_concept, components, crossed_mean
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.probing import ENCODER, PROJECTOR
from finer_tasks.training.reproduce.scores import BASE, HELD_IN, HELD_OUT, Scores, asked_by

Verdict = Literal["reproduced", "opposite", "not shown", "one run", "no spread"]
# The difference, in share of documents, that the number of concepts is reckoned for.
WANTED = 0.05


@dataclass(frozen=True)
class Figure:
    """Exact match of a model in one way of asking: over seeds and concepts, of each seed, and of each held-out group."""

    model: str
    part: str
    asked: str
    mean: Crossed
    by_seed: tuple[float, ...]
    by_group: Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as a difference that is above zero if it holds here, and what was found.

    detectable: the difference that so many seeds and concepts would find in 80 of 100 experiments. concepts_for_5_points: how
    many concepts would do for a difference of 0.05 with as many seeds; infinite where the seeds alone differ too much.
    """

    claim: str
    measured: str
    part: str
    mean: Crossed
    by_seed: tuple[float, ...]
    by_group: Mapping[str, float]
    detectable: float
    concepts_for_5_points: float

    @property
    def verdict(self) -> Verdict:
        """By the interval: wholly above zero, wholly below, or across; one run has none, nor have equal scores."""
        if np.isnan(self.mean.low):
            return "one run" if self.mean.runs < 2 else "no spread"
        if self.mean.low > 0:
            return "reproduced"
        return "opposite" if self.mean.high < 0 else "not shown"


def figures(scores: Scores) -> list[Figure]:
    """Every accuracy, by model, part and way of asking."""
    found = []
    for model in (BASE, *scores.plan.mixtures):
        for part in (HELD_IN, HELD_OUT):
            for asked in asked_by(scores.plan):
                table = scores.base(asked.ending) if model == BASE else scores.tuned(model, asked.ending, part)
                kept = table[:, scores.known(part)]
                by_group = _by_group(scores, table) if part == HELD_OUT else {}
                found.append(Figure(model, part, asked.ending, share_mean(kept), _by_seed(kept), by_group))
    return found


def claims(scores: Scores, probes: Mapping[str, Floats] | None) -> list[Claim]:
    """The paper's claims (Kim & Ji 2024, sections 3 to 5) that the plan can speak to."""
    return [*_before_tuning(scores), *_of_probes(probes), *_of_tuning(scores)]


def _before_tuning(scores: Scores) -> Iterator[Claim]:
    asked = {one.ending for one in asked_by(scores.plan)}
    for claim, measured, more, less in (
        ("the coarse concept is named less often than the superordinate", "superordinate - coarse", "superordinate", "coarse"),
        ("the fine concept is named less often than the coarse one", "coarse - fine", "coarse", "fine"),
        ("the model names from text what it does not name from the image", "fine from text - fine", "fine_text", "fine"),
        ("asking for the attributes first helps without tuning", "AttrSeek - direct question", "fine_attrseek", "fine"),
    ):
        if {more, less} <= asked:
            yield _claim(claim, measured, "all", scores.base(more) - scores.base(less), {})


def _of_probes(probes: Mapping[str, Floats] | None) -> Iterator[Claim]:
    if probes is not None:
        lost = probes[ENCODER] - probes[PROJECTOR]
        yield _claim("detail is lost in the projector", "linear probe before - after it", "all", lost, {})


def _of_tuning(scores: Scores) -> Iterator[Claim]:
    control, style = scores.plan.mixtures
    for part in (HELD_IN, HELD_OUT):
        for ending, way in (("fine", "direct question"), ("fine_attrseek", "AttrSeek")):
            if ending not in {one.ending for one in asked_by(scores.plan)}:
                continue
            known = scores.known(part)
            tuned = scores.tuned(style, ending, part)
            for claim, measured, other in (
                (f"tuning on the {style} mixture helps", f"{way}, {style} - before tuning", scores.base(ending)),
                (f"the {style} mixture beats the {control} one", f"{way}, {style} - {control}",
                 scores.tuned(control, ending, part)),
            ):  # fmt: skip
                by_group = _by_group(scores, tuned - other) if part == HELD_OUT else {}
                yield _claim(claim, measured, part, (tuned - other)[:, known], by_group)


def _claim(claim: str, measured: str, part: str, table: Floats, by_group: Mapping[str, float]) -> Claim:
    spread: Components = components(table)
    seeds, concepts = table.shape
    return Claim(
        claim, measured, part, crossed_mean(table), _by_seed(table), by_group,
        spread.detectable(seeds, concepts), spread.concepts_for(WANTED, seeds),
    )  # fmt: skip


def share_mean(table: Floats) -> Crossed:
    """As crossed_mean, of shares: the interval ends where they do."""
    mean = crossed_mean(table)
    low, high = np.clip([mean.low, mean.high], 0.0, 1.0).tolist()
    return replace(mean, low=low, high=high)


def _by_seed(table: Floats) -> tuple[float, ...]:
    return tuple(map(float, table.mean(axis=1)))


def _by_group(scores: Scores, table: Floats) -> dict[str, float]:
    """The mean over the concepts that each group holds out."""
    return {
        group.name: float(table[:, held].mean())
        for group, held in zip(scores.groups, scores.held_out, strict=True)
        if held.any()
    }


def read_probes(plan: Plan, layout: Layout, concepts: Sequence[str]) -> dict[str, Floats]:
    """Share of each concept's test images that a probe names, by place, shape (seeds, concepts), of a plan with probes.

    concepts: of each test image that is probed, in their order. Raises ResultsError for a file that does not fit them.
    """
    read = [_probed(layout.probe(plan.base_of(seed)), concepts) for seed in plan.seeds]
    clusters = Clusters.of(concepts)
    tables = {place: np.array([one[place] for one in read], dtype=np.float64) for place in (ENCODER, PROJECTOR)}
    return {place: by_concept(table, clusters) for place, table in tables.items()}


def _probed(path: Path, concepts: Sequence[str]) -> dict[str, list[bool]]:
    """What a probe named, by place; raises ResultsError where the file is not that of these test images."""
    with suppress(ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(found, dict) and found.get("concepts") == list(concepts)
        if whole and all(_are_verdicts(found.get(place), len(concepts)) for place in (ENCODER, PROJECTOR)):
            return {place: found[place] for place in (ENCODER, PROJECTOR)}
    raise ResultsError(f"{path} is damaged, or is of other test images. Delete it and repeat the command")


def _are_verdicts(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(value, bool) for value in values)
