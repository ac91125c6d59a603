"""Similarities of attributes against verdicts by hand on 200 pairs; `python -m tests.scoring.pairs SIMILARITY …` prints tables.

The pairs in attribute_pairs.jsonl were written and judged by one person before any scorer was run on them, who knew the
rule of the lexical one. Half say the same. Phrases are in the words of CUB's human attributes and of replies of models; those
that do not say the same share a word or a part on purpose, as neighbours in two lists do. A phrase that says clearly
less or more than the other is not the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from finer_tasks.models.similarity import similarity_named
from finer_tasks.scoring.attributes import SAME
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Floats

PAIRS = Path(__file__).with_name("attribute_pairs.jsonl")


@dataclass(frozen=True)
class Pair:
    """Two phrases about one thing, the verdict by hand, and what makes the pair easy or hard."""

    category: str
    kind: str
    one: str
    other: str
    same: bool


@cache
def pairs() -> tuple[Pair, ...]:
    """All pairs, in the file's order."""
    return tuple(Pair(**json.loads(line)) for line in PAIRS.read_text(encoding="utf-8").splitlines())


@cache
def similarities(name: str) -> Floats:
    """Of each pair, shape (pairs,), by a similarity as FINER_SIMILARITY names it."""
    similarity = similarity_named(name)
    return np.array([similarity([pair.one], [pair.other])[0, 0] for pair in pairs()], dtype=np.float64)


def verdicts() -> np.ndarray:
    """By hand, shape (pairs,), as booleans."""
    return np.array([pair.same for pair in pairs()])


def right(values: Floats) -> Floats:
    """1 where a similarity of SAME or more goes with the verdict, else 0, shape (pairs,)."""
    return ((values >= SAME) == verdicts()).astype(np.float64)


def auc(values: Floats, counts: Floats) -> float:
    """How often a pair that says the same is more similar than one that does not, ties half; `counts` repeats pairs."""
    repeated = np.repeat(np.arange(len(values)), counts.astype(int))
    same, ranks = verdicts()[repeated], rankdata(values[repeated])
    positive = int(same.sum())
    wins = ranks[same].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * (len(same) - positive)))


@cache
def bootstrap() -> Bootstrap:
    """Draws of single pairs."""
    return Bootstrap(Clusters.of([str(number) for number in range(len(pairs()))]), seed=0)


def auc_estimate(values: Floats) -> Estimate:
    """AUC with its 95 % interval over pairs."""
    return bootstrap().statistic(lambda counts: auc(values, counts))


def kinds() -> list[tuple[str, bool]]:
    """Kinds with their verdict, those that say the same first."""
    return list(dict.fromkeys((pair.kind, pair.same) for pair in pairs()))


def of_kind(kind: str, same: bool) -> np.ndarray:
    """Which pairs are of a kind with this verdict, shape (pairs,), as booleans."""
    return np.array([(pair.kind, pair.same) == (kind, same) for pair in pairs()])


def table(names: Sequence[str]) -> str:
    """Right shares with intervals, AUC, and right shares by kind, a column a similarity, as Markdown."""
    values = [similarities(name) for name in names]
    kind_of = [name.partition(":")[0] for name in names]
    rows = [
        ["pairs", "", *kind_of],
        ["---"] * (2 + len(names)),
        ["all, right at 0.5", str(len(pairs())), *(_with_interval(bootstrap().mean(right(one))) for one in values)],
        ["all, AUC", str(len(pairs())), *(_with_interval(auc_estimate(one)) for one in values)],
    ]
    for kind, same in kinds():
        chosen = of_kind(kind, same)
        label = f"{kind}, {'the same' if same else 'not the same'}"
        rows.append([label, str(chosen.sum()), *(f"{right(one)[chosen].mean():.2f}" for one in values)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _with_interval(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


if __name__ == "__main__":
    print(table(sys.argv[1:] or ["lexical"]))
