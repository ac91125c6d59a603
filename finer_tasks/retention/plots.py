"""The curve of forgetting beside the gain, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.plotting import pyplot, save_figure
from finer_tasks.retention.comparison import Change, Curve

_TITLES = {"gain": "meant to gain", "retained": "to be retained", "text": "texts to be retained"}


def plot_curves(found: Sequence[Curve], folder: Path) -> list[Path]:
    """Write a panel for each role, changes over the states with their intervals; returns the files."""
    plt = pyplot()

    roles = [role for role in _TITLES if any(curve.role == role for curve in found)]
    figure, axes = plt.subplots(1, len(roles), figsize=(4.8 * len(roles), 4.2), squeeze=False, layout="constrained")
    for axis, role in zip(axes[0], roles, strict=True):
        chosen = [curve for curve in found if curve.role == role]
        for number, curve in enumerate(chosen):
            _line(axis, curve, number, len(chosen))
        axis.axhline(0, color="#999999", linewidth=1)
        axis.set_title(_TITLES[role])
        axis.set_ylabel("bits per byte saved since before" if role == "text" else "score minus score before")
        axis.set_xlabel("step" if _has_steps(found[0]) else "state")
        axis.legend(frameon=False, fontsize=8)
    return save_figure(figure, folder, "retention")


def _has_steps(curve: Curve) -> bool:
    return all(point.step is not None for point in curve.points)


def _bar(change: Change | None) -> tuple[float, float, float]:
    """A change and how far its interval reaches below and above; an endless one is not drawn."""
    if change is None or not np.isfinite([change.low, change.high]).all():
        return change.difference if change else 0.0, 0.0, 0.0
    return change.difference, change.difference - change.low, change.high - change.difference


def _line(axis: Any, curve: Curve, number: int, of: int) -> None:
    """One curve, moved a little to the side so that intervals do not hide each other."""
    steps = (
        [float(point.step or 0) for point in curve.points] if _has_steps(curve) else list(map(float, range(len(curve.points))))
    )
    shift = (number - (of - 1) / 2) * 0.012 * (max(steps) - min(steps))
    values, below, above = zip(*(_bar(point.change) for point in curve.points), strict=True)
    at = [step + shift for step in steps]
    name = curve.measure.removeprefix("texts: ")
    axis.errorbar(at, values, yerr=[below, above], marker="o", capsize=3, label=f"{name}, {curve.metric}")
    if not _has_steps(curve):
        axis.set_xticks(steps, [point.state for point in curve.points])
