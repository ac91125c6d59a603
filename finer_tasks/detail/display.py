"""Scores by detail in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.detail.comparison import DetailTable
from finer_tasks.runs.cells import with_interval

_LEGEND = (
    "Intervals: 95 %, over concepts; differences are paired, on the same documents. Of many categories, one interval in "
    "twenty misses the truth by chance."
)


def print_details(found: Sequence[DetailTable], console: PlainConsole) -> None:
    """For each task, em at every detail by category, and the difference to the first detail."""
    for one in found:
        console.say(f"{one.task}: {', '.join(one.differing)} differ")
        table = Table("category")
        for name in ("n", "detail", "em", f"minus {one.details[0]}"):
            table.add_column(name, justify="left" if name == "detail" else "right", no_wrap=name != "detail")
        for category in one.categories:
            for cell in category.cells["em"]:
                about = ("", "") if cell.difference else (category.name, str(category.documents))
                difference = with_interval(cell.difference, sign=True) if cell.difference else ""
                table.add_row(*about, cell.detail, f"{cell.score.value:.3f}", difference)
            table.add_section()
        console.print(table)
        for category in one.categories[:1]:
            strict = [f"{cell.detail} {cell.score.value:.3f}" for cell in category.cells["em_strict"]]
            console.say(f"  em_strict: {', '.join(strict)}")
        for note in one.notes:
            console.say(f"  note: {note}")
    console.say(_LEGEND)
