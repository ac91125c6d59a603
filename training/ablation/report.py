"""The table and the plot of an ablation: each arm's figures, and how they differ from those of LLaVA's own projector."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.errors import ResultsError
from finer_tasks.models.machine import machine
from finer_tasks.plotting import pyplot, save_figure
from finer_tasks.runs.cells import markdown_row, with_interval
from finer_tasks.runs.reading import read_run
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.crossed import by_concept, crossed_mean
from finer_tasks.training.ablation.assembling import Parts
from finer_tasks.training.ablation.plan import REFERENCE, AblationPlan, Arm
from finer_tasks.writing import as_json, write_text

NAMES: Mapping[Arm, str] = {
    "linear": "linear",
    "mlp2": "2-layer MLP (LLaVA-1.5)",
    "mlp4": "4-layer MLP",
    "resampler": "resampler",
    "mlp2_pool2x2": "2-layer MLP, 2 x 2 pooled",
    "mlp2_layers": "2-layer MLP, several layers",
}


@dataclass(frozen=True)
class Figure:
    """One measure of an arm: mean over seeds and documents, each seed's mean, and how it differs from the reference."""

    estimate: Estimate
    by_seed: tuple[float, ...]
    difference: Estimate | None


@dataclass(frozen=True)
class ArmFigures:
    """What is known of an arm; figures by measure: a task, or the place of a probe."""

    arm: Arm
    parameters: int
    image_tokens: int
    learning_rate: float
    loss: tuple[float, ...]
    figures: Mapping[str, Figure]


def encoder_probe(output: Path, layers: Sequence[int]) -> Path:
    """Where the probe of some layers of the encoder is kept."""
    return output / "probes" / f"encoder{','.join(map(str, layers))}.json"


def projector_probe(output: Path, arm: Arm, seed: int) -> Path:
    """Where the probe after a trained projector is kept."""
    return output / "probes" / f"{arm}-{seed}.json"


def write_report(plan: AblationPlan, output: Path, parts: Parts, versions: Mapping[str, str]) -> Path:
    """Write report.json, table.md and the plot; returns the table's path."""
    found = figures(plan, output)
    frozen = sum(p.numel() for part in parts.modules for p in part.parameters())
    record = {
        "plan": asdict(plan),
        "frozen_parameters": frozen,
        "images": {split: _count(output / "features" / split) for split in ("train", "test")},
        "arms": [asdict(arm) for arm in found],
        "versions": dict(versions),
        "machine": machine(),
    }
    write_text(output / "report.json", as_json(record) + "\n")
    write_text(output / "table.md", table(found))
    _plot(found, output)
    return output / "table.md"


def _count(features: Path) -> int:
    return len(json.loads((features / "documents.json").read_text(encoding="utf-8")))


def figures(plan: AblationPlan, output: Path) -> list[ArmFigures]:
    """Every figure of every arm."""
    measured = {arm: _measured(plan, arm, output) for arm in plan.arms}
    found = []
    for arm in plan.arms:
        by_measure = {}
        for measure, (ids, concepts, values) in measured[arm].items():
            base = measured[REFERENCE][measure]
            if base[0] != ids:
                raise ResultsError(
                    f"{measure}: {arm} and {REFERENCE} have other documents; delete {output}/evaluations and go on"
                )
            clusters = Clusters.of(concepts)
            difference = None if arm == REFERENCE else _mean(values - base[2], clusters, plan.seed)
            by_seed = tuple(float(row.mean()) for row in values)
            by_measure[measure] = Figure(_mean(values, clusters, plan.seed), by_seed, difference)
        made = [json.loads((output / f"models/{arm}-{seed}/training.json").read_text()) for seed in plan.seeds]
        loss = tuple(one["loss"] for one in made)
        found.append(
            ArmFigures(arm, made[0]["parameters"], made[0]["image_tokens"], made[0]["learning_rate"], loss, by_measure)
        )
    return found


def _mean(values: Floats, clusters: Clusters, seed: int) -> Estimate:
    """Over seeds and concepts of scores of shape (seeds, documents); of one seed, the interval is over concepts alone."""
    means = by_concept(values, clusters)
    if len(means) == 1:
        return Bootstrap(Clusters.of(clusters.names), seed).mean(means[0])
    found = crossed_mean(means)
    return Estimate(found.value, found.low, found.high)


def _measured(plan: AblationPlan, arm: Arm, output: Path) -> dict[str, tuple[list[str], list[str], Floats]]:
    """By measure: ids and concepts of the documents, and scores of shape (seeds, documents)."""
    rows: dict[str, tuple[list[str], list[str], list[list[float]]]] = {}

    def add(measure: str, ids: list[str], concepts: list[str], values: list[float]) -> None:
        rows.setdefault(measure, (ids, concepts, []))[2].append(values)

    for seed in plan.seeds:
        paths = {"encoder": encoder_probe(output, plan.layers_of(arm)), "projector": projector_probe(output, arm, seed)}
        for place, path in paths.items():
            probed = json.loads(path.read_text(encoding="utf-8"))
            add(f"probe, {place}", probed["ids"], probed["concepts"], [float(right) for right in probed["right"]])
        for task in read_run(output / "evaluations" / f"{arm}-{seed}").tasks:
            ids = [str(sample.record["id"]) for sample in task.samples]
            concepts = [str(sample.record["concept_id"]) for sample in task.samples]
            add(task.name, ids, concepts, list(task.scores(task.main_scores[0])))
    return {measure: (ids, concepts, np.array(values)) for measure, (ids, concepts, values) in rows.items()}


def table(found: Sequence[ArmFigures]) -> str:
    """In Markdown: figures with intervals, then differences to LLaVA's projector."""
    measures = list(found[0].figures)
    head = ["projector", "parameters", "image tokens", "learning rate", "loss", *measures]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for arm in found:
        cells = [NAMES[arm.arm], f"{arm.parameters:,}", str(arm.image_tokens), f"{arm.learning_rate:g}"]
        cells.append(f"{sum(arm.loss) / len(arm.loss):.3f}")
        lines.append(markdown_row([*cells, *(with_interval(arm.figures[measure].estimate) for measure in measures)]))
    lines += ["", markdown_row([f"minus {NAMES[REFERENCE]}", *measures]), markdown_row(["---"] * (len(measures) + 1))]
    for arm in found:
        if arm.arm != REFERENCE:
            differences = (arm.figures[measure].difference for measure in measures)
            lines.append(markdown_row([NAMES[arm.arm], *(with_interval(d, sign=True) for d in differences if d is not None)]))
    return "\n".join(lines) + "\n"


def _plot(found: Sequence[ArmFigures], folder: Path) -> None:
    plt = pyplot()

    measures = list(found[0].figures)
    figure, axes = plt.subplots(1, len(measures), figsize=(2.9 * len(measures) + 1.6, 3.4), sharey=True, layout="constrained")
    places = range(len(found))
    for axis, measure in zip(np.atleast_1d(axes), measures, strict=True):
        _dots(axis, [arm.figures[measure] for arm in found])
        axis.set_title(measure.removeprefix("finer_"))
        axis.set_yticks(places, [NAMES[arm.arm] for arm in found])
    np.atleast_1d(axes)[0].invert_yaxis()
    figure.supxlabel("share right; bars: 95 % over concepts and seeds, small dots: each seed", fontsize=9)
    save_figure(figure, folder, "projectors")


def _dots(axis: Any, figures: Sequence[Figure]) -> None:
    for place, one in enumerate(figures):
        estimate = one.estimate
        error = [[max(0.0, estimate.value - estimate.low)], [max(0.0, estimate.high - estimate.value)]]
        axis.errorbar([estimate.value], [place], xerr=error, fmt="o", capsize=4, color="#5b8def")
        axis.plot(one.by_seed, [place + 0.22] * len(one.by_seed), ".", color="#d2553b", markersize=4)
    axis.set_xlim(0, 1.03)
    axis.grid(axis="x", color="#dddddd")
