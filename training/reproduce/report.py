"""The table, the figure and the page of a reproduction."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from finer_tasks.plotting import pyplot
from finer_tasks.runs.pages import page_environment
from finer_tasks.statistics.bootstrap import Estimate
from finer_tasks.training.reproduce.findings import (
    HELD_IN,
    HELD_OUT,
    MODELS,
    TASKS,
    Claim,
    Figure,
    Scores,
    claims,
    figures,
    read_probes,
)
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.writing import as_json, replacing, write_text

_COLOURS = {"base": "#9aa5b1", "direct": "#5b8def", "finer": "#d2553b"}


def write_report(plan: Plan, output: Path, versions: Mapping[str, str]) -> Path:
    """Write report.json, table.md, summary.png and summary.html; returns the last."""
    scores, probes = Scores(plan, output), read_probes(output)
    found, checked = figures(scores, plan.seed), claims(scores, probes, plan)
    accuracy = {place: sum(right) / len(right) for place, right in probes.items() if place != "concepts"}
    record = {
        "plan": asdict(plan),
        "figures": [asdict(figure) for figure in found],
        "claims": [asdict(claim) | {"verdict": claim.verdict} for claim in checked],
        "linear_probe": accuracy,
        "versions": dict(versions),
        "machine": machine(),
    }
    write_text(output / "report.json", as_json(record) + "\n")
    write_text(output / "table.md", table(found, checked, accuracy))
    _plot(found, output / "summary.png")
    return _page(plan, found, checked, accuracy, {**versions, **machine()}, output)


def machine() -> dict[str, str]:
    """What sums in floating point depend on beside the versions: the processor's instructions, and how many share the work."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"instructions": torch.backends.cpu.get_cpu_capability(), "threads": str(torch.get_num_threads()), "GPU": gpu}


def table(found: Sequence[Figure], checked: Sequence[Claim], accuracy: Mapping[str, float]) -> str:
    """Both tables in Markdown."""
    lines = ["| model | concepts | " + " | ".join(TASKS.values()) + " |", "|---|---|" + "---|" * len(TASKS)]
    for model, name in MODELS.items():
        for part in (HELD_IN, HELD_OUT):
            cells = [shown(figure.estimate) for figure in found if (figure.model, figure.part) == (model, part)]
            lines.append(f"| {name} | {part} | " + " | ".join(cells) + " |")
    probes = ", ".join(f"{value:.3f} after the {place}" for place, value in accuracy.items())
    lines += ["", f"Linear probe for the fine concept: {probes}.", ""]
    lines += ["| claim of the paper | measured here as | difference | verdict |", "|---|---|---|---|"]
    lines += [f"| {c.claim} | {c.measured} | {shown(c.difference, signed=True)} | {c.verdict} |" for c in checked]
    return "\n".join(lines) + "\n"


def shown(estimate: Estimate, signed: bool = False) -> str:
    """A value with its interval."""
    if estimate.value != estimate.value:
        return "no documents"
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.3f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def _plot(found: Sequence[Figure], path: Path) -> None:
    plt = pyplot()

    panes, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for axis, part in zip(axes, (HELD_IN, HELD_OUT), strict=True):
        for offset, (model, name) in enumerate(MODELS.items()):
            chosen = [figure for figure in found if (figure.model, figure.part) == (model, part) and figure.documents]
            at = [number + (offset - 1) * 0.27 for number in range(len(chosen))]
            values = [figure.estimate.value for figure in chosen]
            bounds = [(max(0.0, e.value - e.low), max(0.0, e.high - e.value)) for e in (f.estimate for f in chosen)]
            error = [list(side) for side in zip(*bounds, strict=True)] if bounds else None
            axis.bar(at, values, 0.25, yerr=error, capsize=3, color=_COLOURS[model], label=name)
        axis.set_xticks(range(len(TASKS)), list(TASKS.values()), rotation=20)
        axis.set_title(f"{part} concepts")
        axis.set_ylim(0, 1.08)
    axes[0].set_ylabel("exact match, 95 % interval over concepts")
    panes.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    with replacing(path) as fresh:
        panes.savefig(fresh, dpi=140, format="png")
    plt.close(panes)


def _page(
    plan: Plan,
    found: Sequence[Figure],
    checked: Sequence[Claim],
    accuracy: Mapping[str, float],
    versions: Mapping[str, str],
    output: Path,
) -> Path:
    source = (resources.files("finer_tasks.training.reproduce") / "summary.html.j2").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = [
        {"model": name, "part": part, "cells": [f for f in found if (f.model, f.part) == (model, part)]}
        for model, name in MODELS.items()
        for part in (HELD_IN, HELD_OUT)
    ]
    text = (
        page_environment()
        .from_string(source)
        .render(
            plan=plan,
            rows=rows,
            tasks=TASKS,
            claims=checked,
            accuracy=accuracy,
            versions=versions,
            shown=shown,
            picture=base64.b64encode((output / "summary.png").read_bytes()).decode(),
        )
    )
    write_text(output / "summary.html", text)
    return output / "summary.html"
