"""Figures are written with names as they are."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.plotting import pyplot, save_figure


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path) -> None:
    figure, axis = pyplot().subplots()
    axis.plot([0, 1], label="a$^$")
    axis.set_xticks([0, 1], ["$_$", "b"])
    axis.set_title("$\\frac$")
    axis.legend()
    written = save_figure(figure, tmp_path / "new", "figure")
    assert [path.name for path in written] == ["figure.png", "figure.svg"]
    assert all(path.stat().st_size > 1000 for path in written)
