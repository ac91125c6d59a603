"""Plots of scores against severity as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finer_tasks.plotting import pyplot, save_figure
from finer_tasks.robust.curves import METRICS, Robustness


def plot_robustness(found: Sequence[Robustness], folder: Path) -> list[Path]:
    """Write a figure for each level and perturbation, with a panel for each score; returns the files."""
    plt = pyplot()

    written = []
    for one in found:
        figure, axes = plt.subplots(1, len(METRICS), figsize=(5 * len(METRICS), 3.8), sharey=True, layout="constrained")
        for axis, metric in zip(axes, METRICS, strict=True):
            for number, curve in enumerate(curve for curve in one.curves if curve.metric == metric):
                points = curve.points
                color = f"C{number}"
                severities = [point.severity for point in points]
                axis.plot(severities, [point.score.value for point in points], marker="o", label=curve.way, color=color)
                low, high = [point.score.low for point in points], [point.score.high for point in points]
                axis.fill_between(severities, low, high, alpha=0.15, color=color, linewidth=0)
            axis.set_xlabel(f"severity of {one.perturbation}, 0 is as published")
            axis.set_ylabel(f"{metric}, 95 % interval over concepts")
            axis.set_ylim(0, 1.02)
            axis.set_xticks(sorted({point.severity for curve in one.curves for point in curve.points}))
        axes[0].legend()
        figure.suptitle(f"{one.dataset}, {one.level}, {one.documents} documents")
        seed = f"-{one.seed}" if one.seed else ""
        written += save_figure(figure, folder, f"robust-{one.dataset}-{one.level}-{one.perturbation}{seed}")
    return written
