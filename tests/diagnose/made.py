"""Evidence made up from how well each stage does on each concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finer_tasks.diagnose.evidence import PROBED, Evidence, Stage, stage_of
from finer_tasks.statistics.clusters import Clusters

SIBLINGS = 4


def evidence(
    rates: Mapping[str, Sequence[float]], documents: int = 10, known: Sequence[bool] | None = None, seed: int = 0
) -> Evidence:
    """Concepts in groups of four; `rates` are each concept's chance of being right, by stage.

    A wrong answer is drawn from all concepts alike by a probe, and from the siblings by the others, which know the group.
    """
    rng, count = np.random.default_rng(seed), len(next(iter(rates.values())))
    names = [f"c{number:03d}" for number in range(count)]
    true = np.repeat(np.arange(count), documents)
    concepts = Clusters.of([names[number] for number in true])
    groups = [str(number // SIBLINGS) for number in true]

    def stage(name: str, rate: Sequence[float]) -> Stage:
        is_probe = name in PROBED
        drawn = rng.integers(0, count, len(true)) if is_probe else true - true % SIBLINGS + rng.integers(0, SIBLINGS, len(true))
        right = rng.random(len(true)) < np.array(rate)[true]
        said = [names[own if hit else other] for own, hit, other in zip(true, right, drawn, strict=True)]
        return stage_of(concepts, said, [""] * len(true) if is_probe else groups, name)

    stages = {name: stage(name, rate) for name, rate in rates.items()}
    shuffled = {name: stage(name, [0.0] * count) for name in rates if name in PROBED}
    named = [names[number] if known is not None and known[int(number)] else "" for number in true]
    text = None if known is None else stage_of(concepts, named, groups, "text")
    return Evidence(
        "mini", "fine", tuple(map(str, range(len(true)))), concepts, tuple(names), stages, {}, shuffled, text, told="coarse"
    )
