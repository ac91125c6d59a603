"""The curve of forgetting beside the gain, as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finer_tasks.retention.comparison import Curve
from finer_tasks.writing import write_bytes

_TITLES = {"gain": "meant to gain", "retained": "to be retained", "text": "texts to be retained"}


def plot_curves(found: Sequence[Curve], folder: Path) -> list[Path]:
    """Write a panel for each role, changes over the states with their intervals; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

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
    written = []
    for kind in ("png", "svg"):
        path, picture = folder / f"retention.{kind}", io.BytesIO()
        figure.savefig(picture, format=kind, dpi=120)
        write_bytes(path, picture.getvalue())
        written.append(path)
    plt.close(figure)
    return written


def _has_steps(curve: Curve) -> bool:
    return all(point.step is not None for point in curve.points)


def _line(axis: Any, curve: Curve, number: int, of: int) -> None:
    """One curve, moved a little to the side so that intervals do not hide each other."""
    steps = (
        [float(point.step or 0) for point in curve.points] if _has_steps(curve) else list(map(float, range(len(curve.points))))
    )
    shift = (number - (of - 1) / 2) * 0.012 * (max(steps) - min(steps))
    values = [point.change.difference if point.change else 0.0 for point in curve.points]
    below = [point.change.difference - point.change.low if point.change else 0.0 for point in curve.points]
    above = [point.change.high - point.change.difference if point.change else 0.0 for point in curve.points]
    at = [step + shift for step in steps]
    name = curve.measure.removeprefix("texts: ")
    axis.errorbar(at, values, yerr=[below, above], marker="o", capsize=3, label=f"{name}, {curve.metric}")
    if not _has_steps(curve):
        axis.set_xticks(steps, [point.state for point in curve.points])
