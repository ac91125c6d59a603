"""The tables, the figure and the page of a reproduction."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from finer_tasks.plotting import pyplot, save_figure
from finer_tasks.runs.cells import markdown_row, with_interval
from finer_tasks.runs.pages import page_environment
from finer_tasks.statistics.bootstrap import Estimate
from finer_tasks.statistics.crossed import Crossed
from finer_tasks.training.reproduce.coverage import Coverage, coverage
from finer_tasks.training.reproduce.findings import Claim, Figure, claims, figures, read_probes, share_mean
from finer_tasks.training.reproduce.images import chosen
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.partition import Group
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.scores import BASE, HELD_IN, HELD_OUT, Asked, Scores, asked_by, read_scores
from finer_tasks.writing import as_json, write_text

_COLOURS = ("#9aa5b1", "#5b8def", "#d2553b")


@dataclass(frozen=True)
class Findings:
    """All that a report shows."""

    plan: Plan
    groups: tuple[Group, ...]
    figures: Sequence[Figure]
    claims: Sequence[Claim]
    probes: Mapping[str, Crossed]
    coverage: Coverage | None
    made_by: Mapping[str, Sequence[str]]

    @property
    def models(self) -> dict[str, str]:
        """Names for tables."""
        return {BASE: "before tuning"} | {style: f"{style} mixture" for style in self.plan.mixtures}

    def of(self, model: str, part: str) -> list[Figure]:
        """The figures of one row."""
        return [figure for figure in self.figures if (figure.model, figure.part) == (model, part)]


def write_report(plan: Plan, groups: tuple[Group, ...], layout: Layout) -> Path:
    """Write report.json, table.md, summary.png and .svg, and summary.html; returns the last."""
    scores, probes = read_scores(plan, groups, layout), None
    if plan.probe:
        probes = read_probes(plan, layout, [one.concept for one in chosen(plan, "test", plan.documents_per_concept)])
    accuracy = {place: share_mean(table) for place, table in (probes or {}).items()}
    found = Findings(plan, groups, figures(scores), claims(scores, probes), accuracy, coverage(scores), scores.made_by)
    write_text(layout.root / "report.json", as_json(_record(found, scores)) + "\n")
    write_text(layout.root / "table.md", tables(found))
    _plot(found, layout.root)
    return _page(found, layout.root)


def _record(found: Findings, scores: Scores) -> dict[str, Any]:
    return {
        "plan": asdict(found.plan),
        "groups": [asdict(group) for group in found.groups],
        "seeds_are": found.plan.runs,
        "concepts": len(scores.concepts),
        "documents": int(scores.documents.sum()),
        "figures": [asdict(figure) for figure in found.figures],
        "claims": [asdict(claim) | {"verdict": claim.verdict} for claim in found.claims],
        "linear_probe": {place: asdict(mean) for place, mean in found.probes.items()},
        "coverage": asdict(found.coverage) if found.coverage else None,
        "made_by": {name: list(values) for name, values in found.made_by.items()},
    }


def tables(found: Findings) -> str:
    """All tables in Markdown."""
    return "\n".join([*_accuracies(found), "", *_claims(found), "", *_by_group(found), "", *_remarks(found)]) + "\n"


def _accuracies(found: Findings) -> list[str]:
    asked = asked_by(found.plan)
    lines = [markdown_row(["model", "concepts", *(one.name for one in asked)]), markdown_row(["---"] * (len(asked) + 2))]
    for model, name in found.models.items():
        for part in (HELD_IN, HELD_OUT):
            lines.append(markdown_row([name, part, *(shown(figure.mean) for figure in found.of(model, part))]))
    return lines


def _claims(found: Findings) -> list[str]:
    head = ["claim", "measured as", "concepts", "difference", "of runs", "of concepts", "n", "would be found", "verdict"]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for claim in found.claims:
        errors = [f"±{error:.3f}" if error == error else "-" for error in (claim.mean.from_runs, claim.mean.from_concepts)]
        count = f"{claim.mean.runs} x {claim.mean.concepts}"
        least = f"{claim.detectable:.3f}" if claim.detectable == claim.detectable else "-"
        difference = shown(claim.mean, True)
        lines.append(markdown_row([claim.claim, claim.measured, claim.part, difference, *errors, count, least, claim.verdict]))
    return lines


def _by_group(found: Findings) -> list[str]:
    """Each held-out group by itself; of whole datasets, this is the paper's table of held-out datasets."""
    asked = asked_by(found.plan)
    head = ["held out", "concepts", *(f"{one.name}: {' / '.join(found.models.values())}" for one in asked)]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for group in found.groups:
        cells = [_of_group(found, one, group) for one in asked]
        name = group.name if len(group.units) == 1 else ", ".join(group.units)
        lines.append(markdown_row([name, str(len(group.concepts)), *cells]))
    return lines


def _of_group(found: Findings, asked: Asked, group: Group) -> str:
    values = [
        figure.by_group.get(group.name, math.nan)
        for model in found.models
        for figure in found.of(model, HELD_OUT)
        if figure.asked == asked.ending
    ]
    return " / ".join("-" if math.isnan(value) else f"{value:.3f}" for value in values)


def _remarks(found: Findings) -> list[str]:
    seeds = ", ".join(map(str, found.plan.seeds))
    lines = [
        f"Means over {len(found.plan.seeds)} {found.plan.runs} (seeds {seeds}) and all concepts, each as much as another; "
        "brackets: 95 % over runs and concepts. `of runs` and `of concepts`: the standard error that each alone would give; "
        "`would be found`: the difference that this many runs and concepts show in 80 of 100 experiments."
    ]
    if found.probes:
        told = ", ".join(f"{shown(mean)} after the {place}" for place, mean in found.probes.items())
        lines += ["", f"Linear probe for the fine concept: {told}."]
    if (cover := found.coverage) is not None:
        lines += ["", _covered(cover)]
    if mixed := {name: values for name, values in found.made_by.items() if len(values) > 1}:
        told = "; ".join(f"{name} {' and '.join(values)}" for name, values in mixed.items())
        lines += ["", f"Not all evaluations were made alike: {told}. What another machine makes is another run."]
    return lines


def _covered(cover: Coverage) -> str:
    spread = f"{cover.mean:.0%} are told of others ({cover.least:.0%} to {cover.most:.0%})"
    told = f"Of a held-out concept's required attributes {spread}"
    if math.isnan(cover.correlation):
        return f"{told}; whether the gain depends on it cannot be told."
    return (
        f"{told}; its rank correlation with the gain by AttrSeek is {cover.correlation:+.2f} "
        f"(p = {cover.p_value:.2f}, {cover.concepts} concepts)."
    )


def shown(mean: Crossed, signed: bool = False) -> str:
    """A mean with its interval, where it has one."""
    return with_interval(Estimate(mean.value, mean.low, mean.high), signed)


def _plot(found: Findings, folder: Path) -> None:
    plt, asked = pyplot(), asked_by(found.plan)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True, layout="constrained")
    for axis, part in zip(axes, (HELD_IN, HELD_OUT), strict=True):
        for offset, (model, name) in enumerate(found.models.items()):
            _bars(axis, found.of(model, part), (offset - 1) * 0.27, _COLOURS[offset], name)
        axis.set_xticks(range(len(asked)), [one.name for one in asked], rotation=20)
        axis.set_title(f"{part} concepts")
        axis.set_ylim(0, 1.08)
    axes[0].set_ylabel("exact match")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("bars: 95 % over runs and concepts; dots: each run", fontsize=9)
    save_figure(figure, folder, "summary")


def _bars(axis: Any, figures_: Sequence[Figure], offset: float, colour: str, name: str) -> None:
    at = [number + offset for number in range(len(figures_))]
    means = [figure.mean for figure in figures_]
    bounds = [[0.0 if math.isnan(m.low) else max(0.0, m.value - m.low) for m in means]]
    bounds += [[0.0 if math.isnan(m.high) else max(0.0, m.high - m.value) for m in means]]
    axis.bar(at, [mean.value for mean in means], 0.25, yerr=bounds, capsize=3, color=colour, label=name)
    for place, figure in zip(at, figures_, strict=True):
        axis.plot([place] * len(figure.by_seed), figure.by_seed, ".", color="#222222", markersize=3, alpha=0.7)


def _page(found: Findings, folder: Path) -> Path:
    source = (resources.files("finer_tasks.training.reproduce") / "summary.html.j2").read_text(encoding="utf-8")
    text = (
        page_environment()
        .from_string(source)
        .render(
            found=found,
            asked=asked_by(found.plan),
            parts=(HELD_IN, HELD_OUT),
            remarks=[line for line in _remarks(found) if line],
            of_group=_of_group,
            shown=shown,
            picture=base64.b64encode((folder / "summary.png").read_bytes()).decode(),
        )
    )
    write_text(folder / "summary.html", text)
    return folder / "summary.html"
