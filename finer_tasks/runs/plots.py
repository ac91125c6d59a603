"""Plots of selective prediction as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finer_tasks.scoring.selective import RiskCoverage
from finer_tasks.writing import write_bytes


def plot_risk_coverage(curves: Mapping[str, RiskCoverage], folder: Path, name: str) -> list[Path]:
    """Write risk against coverage, one line for each named curve; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.6, 4), layout="constrained")
    for label, curve in curves.items():
        steps = np.r_[0.0, curve.coverage], np.r_[curve.risk[0], curve.risk]
        (line,) = axis.plot(*steps, linewidth=1.6, marker="o" if len(curve.risk) == 1 else "")
        line.set_label(label.lstrip("_"))  # a label that begins with an underscore would be left out
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, None)
    axis.set_xlabel("coverage: how much is answered")
    axis.set_ylabel("risk: share of the answers that is wrong")
    axis.set_title(name, parse_math=False)
    for text in axis.legend(frameon=False).get_texts():
        text.set_parse_math(False)
    written = []
    for kind in ("png", "svg"):
        path, picture = folder / f"risk-coverage-{name}.{kind}", io.BytesIO()
        figure.savefig(picture, format=kind, dpi=120)
        write_bytes(path, picture.getvalue())
        written.append(path)
    plt.close(figure)
    return written
