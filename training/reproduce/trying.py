"""Trying a plan without doing it: everything is read and checked, one step of tuning is taken, nothing is kept."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from finer_tasks.training.reproduce.building import build
from finer_tasks.training.reproduce.dialogues import subjects_of
from finer_tasks.training.reproduce.experiment import Experiment
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.tuning.train import dry_run


def try_plan(plan: Plan) -> dict[str, object]:
    """What the plan comes to, and what its first run of tuning says of itself; raises what doing it would raise."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "reproduction"
        experiment = Experiment.of(replace(plan, per_concept=1), output)
        counts = Counter(piece.kind for piece in experiment.pieces())
        seed, group, style = plan.seeds[0], experiment.groups[0], plan.mixtures[1]
        if not plan.base.checkpoint:
            _untrained(plan, experiment.layout)
        experiment.mix(seed, group, style)
        mixture = experiment.layout.mixture(seed, group.name, style)
        tried = dry_run(experiment.tuning(seed, mixture, experiment.layout.run(seed, group.name, style)))
    sizes = ", ".join(f"{group.name}: {len(group.concepts)}" for group in experiment.groups)
    return {
        "pieces": ", ".join(f"{count} {kind}" for kind, count in counts.items()),
        "held-out concepts by group": sizes,
        "tuning on one image a concept": "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in tried.items()),
    }


def _untrained(plan: Plan, layout: Layout) -> None:
    model, processor = build(plan.base, subjects_of(plan.datasets), plan.seeds[0])
    model.save_pretrained(layout.base(plan.seeds[0]))
    processor.save_pretrained(layout.base(plan.seeds[0]))
