"""Gain and forgetting in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.retention.comparison import Change, Curve, Point

_ROLES = {"gain": "meant to gain", "retained": "to be retained", "text": "to be retained"}
_COLUMNS = ("value", "perplexity", "change [90 %]", "worse", "better", "p (Holm)", "outcome")


def print_curves(found: Sequence[Curve], margin: float, console: PlainConsole) -> None:
    """A table for each measure, a row a state."""
    for curve in found:
        title = (
            f"{curve.measure}: {curve.metric}, {_ROLES[curve.role]}; {curve.documents} documents in {curve.clusters} clusters"
        )
        table = Table("state", title=title, title_justify="left")
        shown = [name for name in _COLUMNS if name != "perplexity" or curve.role == "text"]
        for name in shown:
            table.add_column(name, justify="right", no_wrap=True)
        for point in curve.points:
            cells = dict(zip(_COLUMNS, _cells(point), strict=True))
            table.add_row(point.state, *(cells[name] for name in shown))
        console.print(table)
    console.say("Changes are against the state before; below zero is worse, whatever the metric.")
    console.say(f"lost: worse, p below 0.05 after Holm. kept: a loss of {margin:g} or more is ruled out. Else not clear.")


def as_markdown(found: Sequence[Curve]) -> str:
    """The same table in Markdown."""
    lines = [f"| measure | state | {' | '.join(_COLUMNS)} |", "|---" * (2 + len(_COLUMNS)) + "|"]
    for curve in found:
        for point in curve.points:
            cells = (f"{curve.measure}, {curve.metric} ({_ROLES[curve.role]})", point.state, *_cells(point))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(point: Point) -> list[str]:
    perplexity = "" if point.perplexity is None else f"{point.perplexity:.2f}"
    return [f"{point.value:.3f}", perplexity, *_change(point.change)]


def _change(change: Change | None) -> list[str]:
    if change is None:
        return [""] * 5
    span = f"{change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    return [span, str(change.worse), str(change.better), f"{change.p_holm:.2g}", change.outcome]
