"""Plots of selective prediction as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finer_tasks.plotting import pyplot, save_figure
from finer_tasks.scoring.selective import RiskCoverage


def plot_risk_coverage(curves: Mapping[str, RiskCoverage], folder: Path, name: str) -> list[Path]:
    """Write risk against coverage, one line for each named curve; returns the files."""
    plt = pyplot()

    figure, axis = plt.subplots(figsize=(5.6, 4), layout="constrained")
    for label, curve in curves.items():
        steps = np.r_[0.0, curve.coverage], np.r_[curve.risk[0], curve.risk]
        (line,) = axis.plot(*steps, linewidth=1.6, marker="o" if len(curve.risk) == 1 else "")
        line.set_label(label.lstrip("_"))  # a label that begins with an underscore would be left out
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, None)
    axis.set_xlabel("coverage: how much is answered")
    axis.set_ylabel("risk: share of the answers that is wrong")
    axis.set_title(name)
    axis.legend(frameon=False)
    return save_figure(figure, folder, f"risk-coverage-{name}")
