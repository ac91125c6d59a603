"""The modality gap in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.gap.comparison import Gap
from finer_tasks.runs.cells import with_interval

_CELLS = {
    "yes_yes": "named from text and from image",
    "yes_no": "named from text, not from image",
    "no_yes": "named from image, not from text",
    "no_no": "named from neither",
}


def print_gaps(found: Sequence[Gap], console: PlainConsole, widest: int = 5) -> None:
    """A table of arms for each gap, the two-by-two of knowing and seeing, and where the gap is widest."""
    for gap in found:
        title = f"{gap.dataset}, {gap.level}: {gap.documents} documents of {gap.concepts} concepts"
        table = Table("arm", title=title, title_justify="left")
        for name in ("em", "em_strict", "f1", "em minus image"):
            table.add_column(name, justify="right", no_wrap=True)
        for arm in gap.arms:
            difference = with_interval(gap.differences[arm.name], sign=True) if arm.name in gap.differences else ""
            table.add_row(arm.name, with_interval(arm.em), with_interval(arm.em_strict), with_interval(arm.f1), difference)
        console.print_figures(table)
        for name, estimate in gap.knows_sees.items():
            console.say(f"  {_CELLS[name]}: {with_interval(estimate)}")
        if gap.by_coarse:
            order = sorted(gap.by_coarse.items(), key=lambda item: -item[1])
            console.say("  text minus image by coarse label: " + ", ".join(f"{name} {value:+.2f}" for name, value in order))
            console.say("  widest: " + ", ".join(f"{name} {value:+.2f}" for name, value in gap.widest[:widest]))
        for note in gap.notes:
            console.say(f"  note: {note}")
    console.say("Intervals: 95 %, bootstrap over concepts, the same draws in every arm.")
