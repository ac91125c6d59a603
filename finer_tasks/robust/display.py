"""Robustness in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.robust.curves import METRICS, Contrast, Curve, Robustness
from finer_tasks.runs.cells import with_interval

_LEGEND = (
    "Intervals: 95 %, bootstrap over concepts, the same draws everywhere. lost: minus severity 0, on the same documents. "
    "slope: change with each step of severity, by least squares."
)


def print_robustness(found: Sequence[Robustness], console: PlainConsole) -> None:
    """A table of scores against severity for each level, and each way of asking against the direct question."""
    for one in found:
        places = f", seed {one.seed}" if one.seed else ""
        console.say(
            f"{one.dataset}, {one.level}, {one.perturbation}{places}: {one.documents} documents of {one.concepts} concepts"
        )
        for curve in one.curves:
            _print_curve(curve, console)
        for contrast in one.contrasts:
            console.say(f"  {told(contrast)}")
        for severity, what in one.amounts.items():
            console.say(f"  severity {severity}: {what}")
        for note in one.notes:
            console.say(f"  note: {note}")
    console.say(_LEGEND)


def _print_curve(curve: Curve, console: PlainConsole) -> None:
    """The whole of em; of em_strict, what fits a line."""
    if curve.metric != METRICS[0]:
        scores = ", ".join(f"{point.score.value:.3f}" for point in curve.points)
        console.say(f"  {curve.way}, {curve.metric}: {scores}; slope {with_interval(curve.slope, sign=True)}")
        return
    table = Table(pad_edge=False)
    for name in ("severity", curve.metric, "lost", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve.points:
        lost = with_interval(point.lost) if point.severity else ""
        kept = with_interval(point.kept) if point.severity and point.kept else ""
        table.add_row(str(point.severity), with_interval(point.score), lost, kept)
    console.say(f"asked: {curve.way}")
    console.print(table)
    console.say(f"  {curve.way}, {curve.metric}: slope {with_interval(curve.slope, sign=True)}")


def told(contrast: Contrast) -> str:
    """Whether a way of asking degrades more slowly than the direct question, in words."""
    verdict = {
        "more slowly": "degrades more slowly than direct",
        "faster": "degrades faster than direct",
        "cannot tell": "degrades as direct does, as far as these documents tell",
    }[contrast.verdict]
    text = f"{contrast.way}, {contrast.metric}: {verdict} (slopes differ by {with_interval(contrast.slope, sign=True)})"
    return text + (f"; share kept differs by {with_interval(contrast.share_kept, sign=True)}" if contrast.share_kept else "")
