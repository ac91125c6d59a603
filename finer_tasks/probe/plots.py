"""Accuracy along the path of the image as PNG and SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from finer_tasks.probe.results import Figure, Level, Point, Summary
from finer_tasks.writing import write_bytes

_COLORS = {"mean": "#5b8def", "cls": "#d2553b", "attention": "#3a9d6e", "last": "#8a5bd2"}
_LINES = {"linear": "-", "mlp": "--", "neighbour": ":"}


def plot_levels(summary: Summary, folder: Path) -> list[Path]:
    """Write probe-<level>.png and .svg for each level; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    written = []
    for level, about in summary.levels.items():
        figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
        places = _places(summary)
        for pooling, color in _COLORS.items():
            points = [point for point in summary.points if point.pooling == pooling]
            for probe, line in _LINES.items():
                _draw(axis, summary, level, points, probe, places, color=color, linestyle=line, label=f"{pooling}, {probe}")
        axis.axhline(about.chance, color="#999999", linewidth=1, label="most frequent label")
        axis.set_xticks(range(len(places)), list(places), rotation=20)
        axis.set_ylim(0, 1.02)
        axis.set_ylabel("top-1, 95 % interval over concepts")
        axis.set_title(f"{summary.dataset}, {level}, {about.test} documents, {about.labels} labels")
        axis.legend(fontsize="x-small", ncols=2)
        for kind in ("png", "svg"):
            path, picture = folder / f"probe-{level}.{kind}", io.BytesIO()
            figure.savefig(picture, format=kind, dpi=120)
            write_bytes(path, picture.getvalue())
            written.append(path)
        plt.close(figure)
    return written


def _places(summary: Summary) -> dict[str, int]:
    """Where on the axis each place of the path stands, whatever its pooling."""
    names = dict.fromkeys(_place(point) for point in summary.points)
    return {name: number for number, name in enumerate(names)}


def _place(point: Point) -> str:
    return point.name.removesuffix(f".{point.pooling}")


def _draw(
    axis: Any, summary: Summary, level: Level, points: list[Point], probe: str, places: dict[str, int], **style: Any
) -> None:
    by_point: dict[str, Figure] = {
        figure.point: figure for figure in summary.figures if (figure.level, figure.probe, figure.control) == (level, probe, "")
    }
    found = [(places[_place(point)], by_point[point.name].top1) for point in points if point.name in by_point]
    if found:
        values = [top1.value for _, top1 in found]
        errors = [
            [max(0.0, top1.value - top1.low) for _, top1 in found],
            [max(0.0, top1.high - top1.value) for _, top1 in found],
        ]
        axis.errorbar([place for place, _ in found], values, yerr=errors, capsize=3, marker="o", markersize=4, **style)
