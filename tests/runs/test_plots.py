"""Plots of a run's figures, with names that others chose."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.runs.plots import plot_risk_coverage
from finer_tasks.scoring.selective import risk_coverage


def test_risk_against_coverage_in_both_formats(tmp_path: Path) -> None:
    curves = {"$a$": risk_coverage([0.9, 0.5], [True, False]), "_b": risk_coverage([0.9], [True])}
    written = plot_risk_coverage(curves, tmp_path, "mini fine")
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert all(path.stat().st_size > 5000 for path in written)
