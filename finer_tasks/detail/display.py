"""Scores by detail in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.detail.comparison import DetailTable
from finer_tasks.statistics.bootstrap import Estimate

_LEGEND = (
    "Intervals: 95 %, over concepts; differences are paired, on the same documents. Of many categories, one interval in "
    "twenty misses the truth by chance."
)


def print_details(found: Sequence[DetailTable], console: PlainConsole) -> None:
    """For each task, em at every detail by category, and the difference to the first detail."""
    for one in found:
        first, *others = one.details
        console.say(f"{one.task}: {', '.join(one.differing)} differ")
        table = Table("category", title_justify="left")
        table.add_column("n", justify="right")
        for name in one.details:
            table.add_column(f"em {name}", justify="right", no_wrap=True)
        for name in others:
            table.add_column(f"{name} minus {first}", justify="right", no_wrap=True)
        kinds = [category.kind for category in one.categories]
        for category, following in zip(one.categories, [*kinds[1:], ""], strict=True):
            cells = category.cells["em"]
            differences = [_shown(cell.difference) for cell in cells if cell.difference]
            scores = [f"{cell.score.value:.3f}" for cell in cells]
            last = following != category.kind
            table.add_row(category.name, str(category.documents), *scores, *differences, end_section=last)
        console.print(table)
        for category in one.categories[:1]:
            strict = [f"{cell.detail} {cell.score.value:.3f}" for cell in category.cells["em_strict"]]
            console.say(f"  em_strict: {', '.join(strict)}")
        for note in one.notes:
            console.say(f"  note: {note}")
    console.say(_LEGEND)


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
