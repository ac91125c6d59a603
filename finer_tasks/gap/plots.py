"""Plots of the modality gap as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finer_tasks.gap.comparison import Gap
from finer_tasks.plotting import pyplot, save_figure


def plot_gaps(found: Sequence[Gap], folder: Path) -> list[Path]:
    """Write bars with intervals, and text against image by concept, for each gap; returns the files."""
    plt = pyplot()

    written = []
    for gap in found:
        panels = 2 if gap.by_concept else 1
        figure, axes = plt.subplots(1, panels, figsize=(5.2 * panels, 4), squeeze=False, layout="constrained")
        _bars(axes[0][0], gap)
        if gap.by_concept:
            _scatter(axes[0][1], gap)
        written += save_figure(figure, folder, f"gap-{gap.dataset}-{gap.level}")
    return written


def _bars(axis: Any, gap: Gap) -> None:
    names = [arm.name for arm in gap.arms]
    values = [arm.em.value for arm in gap.arms]
    below = [max(0.0, arm.em.value - arm.em.low) for arm in gap.arms]
    above = [max(0.0, arm.em.high - arm.em.value) for arm in gap.arms]
    axis.bar(names, values, yerr=[below, above], capsize=4, color="#5b8def")
    axis.set_ylim(0, 1.05)
    axis.set_ylabel("exact match, 95 % interval over concepts")
    axis.set_title(f"{gap.dataset}, {gap.level}, {gap.documents} documents")
    axis.tick_params(axis="x", rotation=30)


def _scatter(axis: Any, gap: Gap) -> None:
    image = [pair[1] for pair in gap.by_concept.values()]
    text = [pair[0] for pair in gap.by_concept.values()]
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axis.scatter(image, text, s=28, alpha=0.5, color="#d2553b")
    axis.set_xlim(-0.05, 1.05)
    axis.set_ylim(-0.05, 1.05)
    axis.set_xlabel("exact match from the image")
    axis.set_ylabel("exact match from the text")
    axis.set_title("one point a concept")
