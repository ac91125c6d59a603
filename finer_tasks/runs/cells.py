"""Tables of figures, and numbers as they stand in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from finer_tasks.statistics.bootstrap import Estimate


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def number(value: float, digits: int = 3) -> str:
    """The number, a dash for nan."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def with_error(value: float, error: float) -> str:
    """The number and its standard error where that is known."""
    return number(value) if math.isnan(error) else f"{number(value)} ±{error:.3f}"


def with_interval(estimate: Estimate | None, sign: bool = False) -> str:
    """The number and its interval if it has one, a dash where there is no number; with `sign`, also of what is above zero."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    form = "+.3f" if sign else ".3f"
    if math.isnan(estimate.low):
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def figures_table(title: str, names: Sequence[str], figures: Sequence[str]) -> Table:
    """A table with columns of names on the left and of figures on the right."""
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right")
    return table
