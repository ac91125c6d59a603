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
        console.say(title)
        table = Table("state")
        for name in ("value", "change [90 %]", "-/+", "p", "outcome"):
            table.add_column(name, justify="right", no_wrap=True)
        for point in curve.points:
            value, _, change, worse, better, p, outcome = _cells(point)
            table.add_row(point.state, value, change, f"{worse}/{better}" if worse else "", p, outcome)
        console.print(table)
        if perplexities := [f"{point.state} {_perplexity(point)}" for point in curve.points if point.perplexity is not None]:
            console.say(f"  perplexity: {', '.join(perplexities)}")
    console.say(
        "Changes are against the state before; below zero is worse, whatever the metric. -/+: documents worse and better."
    )
    console.say(
        f"lost: worse, p below 0.05 after Holm's correction. kept: a loss of {margin:g} or more is ruled out. Else not clear."
    )


def as_markdown(found: Sequence[Curve]) -> str:
    """The same table in Markdown."""
    lines = [f"| measure | state | {' | '.join(_COLUMNS)} |", "|---" * (2 + len(_COLUMNS)) + "|"]
    for curve in found:
        for point in curve.points:
            cells = (f"{curve.measure}, {curve.metric} ({_ROLES[curve.role]})", point.state, *_cells(point))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(point: Point) -> list[str]:
    return [f"{point.value:.3f}", _perplexity(point), *_change(point.change)]


def _perplexity(point: Point) -> str:
    return "" if point.perplexity is None else f"{point.perplexity:.2f}"


def _change(change: Change | None) -> list[str]:
    if change is None:
        return [""] * 5
    span = f"{change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    return [span, str(change.worse), str(change.better), f"{change.p_holm:.2g}", change.outcome]
