"""Accuracy along the path of the image as PNG and SVG."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args

from finer_tasks.plotting import FORMS, pyplot, save_figure
from finer_tasks.probe.results import Kind, Level, Point, Summary
from finer_tasks.statistics.bootstrap import Estimate

_COLORS = {"mean": "#5b8def", "cls": "#d2553b", "attention": "#3a9d6e", "last": "#8a5bd2"}
_CHANCE = "#999999"


def plot_levels(summary: Summary, folder: Path) -> list[Path]:
    """Write probe-<level>.png and .svg for each level, with a panel for each kind of probe; returns the files.

    Plots of levels that the summary does not tell of are removed, as the results that they show were.
    """
    plt = pyplot()

    for level, form in itertools.product(get_args(Level), FORMS):
        if level not in summary.levels:  # plotted by a call for other levels
            folder.joinpath(f"probe-{level}.{form}").unlink(missing_ok=True)
    written = []
    for level, about in summary.levels.items():
        kinds = [kind for kind in get_args(Kind) if _figures(summary, level, kind, "")]
        size = (1.6 + 4 * len(kinds), 4.2)
        figure, axes = plt.subplots(1, len(kinds), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for axis, kind in zip(axes[0], kinds, strict=True):
            _panel(axis, summary, level, kind)
        axes[0][0].set_ylabel("top-1, 95 % interval over concepts")
        axes[0][0].legend(fontsize="small")
        figure.suptitle(f"{summary.dataset}, {level}, {about.test} documents, {about.labels} labels")
        written += save_figure(figure, folder, f"probe-{level}")
    return written


def _panel(axis: Any, summary: Summary, level: Level, kind: Kind) -> None:
    places = list(dict.fromkeys(_place(point) for point in summary.points))
    own, shuffled = (_figures(summary, level, kind, control) for control in ("", "shuffled"))
    for pooling, color in _COLORS.items():
        points = [point for point in summary.points if point.pooling == pooling and point.name in own]
        if points:
            across, found = [places.index(_place(point)) for point in points], [own[point.name] for point in points]
            below = [max(0.0, one.value - one.low) for one in found]
            above = [max(0.0, one.high - one.value) for one in found]
            values = [one.value for one in found]
            axis.errorbar(across, values, yerr=[below, above], capsize=3, marker="o", markersize=4, color=color, label=pooling)
            chance = [shuffled[point.name].value for point in points]
            axis.plot(across, chance, linestyle=":", marker=".", color=_CHANCE)
    axis.plot([], [], linestyle=":", marker=".", color=_CHANCE, label="shuffled labels")
    axis.set_xticks(range(len(places)), places, rotation=25, ha="right")
    axis.set_ylim(0, 1.02)
    axis.set_title(kind)


def _place(point: Point) -> str:
    return point.name.removesuffix(f".{point.pooling}")


def _figures(summary: Summary, level: Level, kind: Kind, control: str) -> dict[str, Estimate]:
    """Top-1 of a kind of probe, by point."""
    wanted = (level, kind, control)
    return {one.point: one.top1 for one in summary.figures if (one.level, one.probe, one.control) == wanted}
