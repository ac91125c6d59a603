"""How an experiment depends on one setting: what several runs of `finer reproduce` show, and how they differ from the first.

    PYTHONPATH=. python benchmarks/dependence.py NAME RUN RUN ...

The runs must have the same seeds, concepts, test images and held-out groups. Differences are paired by seed and concept.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from record import save

from finer_tasks.statistics.clusters import Floats
from finer_tasks.statistics.crossed import Crossed, crossed_mean
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.partition import Group
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.scores import HELD_IN, HELD_OUT, Scores, asked_by, read_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the setting that the runs differ in, for the file of results")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished finer reproduce")
    arguments = parser.parse_args()
    scores = {run.name: read(run) for run in arguments.runs}
    first = next(iter(scores))
    for name, other in scores.items():
        if sides(other) != sides(scores[first]):
            parser.error(f"{name} has other seeds, concepts or groups than {first}; they cannot be compared")
    tables = {name: dict(measures(one)) for name, one in scores.items()}
    others = {name: one for name, one in tables.items() if name != first}
    figures = {
        "settings": {name: differing(one, list(scores.values())) for name, one in scores.items()},
        "exact_match": {name: {key: rounded(table) for key, table in one.items()} for name, one in tables.items()},
        f"minus {first}": {
            name: {key: rounded(table - tables[first][key]) for key, table in one.items()} for name, one in others.items()
        },
    }
    save(f"reproduce-{arguments.name}", figures)


def sides(scores: Scores) -> tuple[Any, ...]:
    """What two runs must have in common."""
    return scores.plan.seeds, scores.concepts, scores.groups, tuple(scores.documents)


def read(run: Path) -> Scores:
    """The scores of a finished run."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    plan = TypeAdapter(Plan).validate_python(report["plan"])
    return read_scores(plan, TypeAdapter(tuple[Group, ...]).validate_python(report["groups"]), Layout(run))


def measures(scores: Scores) -> Iterator[tuple[str, Floats]]:
    """Tables of shape (seeds, concepts): each model, part and way of asking, and what the second mixture has over the first."""
    control, style = scores.plan.mixtures
    for asked in asked_by(scores.plan):
        yield f"before tuning, {asked.name}", scores.base(asked.ending)
    for part in (HELD_IN, HELD_OUT):
        known = scores.known(part)
        for asked in asked_by(scores.plan):
            by_style = {model: scores.tuned(model, asked.ending, part)[:, known] for model in (control, style)}
            for model, table in by_style.items():
                yield f"{model} mixture, {part}, {asked.name}", table
            yield f"{style} - {control}, {part}, {asked.name}", by_style[style] - by_style[control]
            before = scores.base(asked.ending)[:, known]
            yield f"{style} - before tuning, {part}, {asked.name}", by_style[style] - before


def differing(scores: Scores, others: list[Scores]) -> dict[str, Any]:
    """The keys of a plan that are not the same in all runs."""
    plans = [asdict(one.plan) for one in others]
    return {key: value for key, value in asdict(scores.plan).items() if any(plan[key] != value for plan in plans)}


def rounded(table: Floats) -> dict[str, Any]:
    """Mean with interval over runs and concepts, and each run's mean."""
    mean: Crossed = crossed_mean(np.asarray(table, dtype=np.float64))
    bounds = {"value": mean.value, "low": mean.low, "high": mean.high}
    kept = {name: None if math.isnan(value) else round(float(value), 4) for name, value in bounds.items()}
    return kept | {
        "runs": mean.runs,
        "concepts": mean.concepts,
        "by_seed": [round(float(row), 4) for row in table.mean(axis=1)],
    }


if __name__ == "__main__":
    main()
