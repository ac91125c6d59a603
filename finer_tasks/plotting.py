"""Figures of matplotlib, drawn without a screen and written as PNG and SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from finer_tasks.writing import write_bytes

FORMS = ("png", "svg")


def pyplot() -> Any:
    """matplotlib's pyplot, loaded where something is plotted, for it takes its time."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "finer-tasks"  # the same figure has the same names inside
    import matplotlib.pyplot as plt

    return plt


def save_figure(figure: Any, folder: Path, name: str) -> list[Path]:
    """Write NAME.png and NAME.svg and close the figure; returns the files. A "$" in names of others is a dollar."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    written = []
    for kind in FORMS:
        path, picture = folder / f"{name}.{kind}", io.BytesIO()
        figure.savefig(picture, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
        write_bytes(path, picture.getvalue())
        written.append(path)
    pyplot().close(figure)
    return written
