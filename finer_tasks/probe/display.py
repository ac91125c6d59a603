"""A probe in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.probe.results import Figure, Kind, Level, Point, Summary
from finer_tasks.runs.cells import with_interval

Figures = Mapping[tuple[str, str], Figure]


def print_probe(summary: Summary, console: PlainConsole) -> None:
    """A table for each level, a row for each point and probe along the path, its controls beside it."""
    for level, about in summary.levels.items():
        documents = f"{about.train} documents to fit, {about.test} of {about.concepts} concepts to test"
        title = f"{summary.dataset}, {level}: {about.labels} labels, {documents}"
        table = Table("point", "probe", title=title, title_justify="left")
        for name in ("width", "top-1", "macro", f"top-1 at width {summary.settings['equal_width']}", "shuffled labels"):
            table.add_column(name, justify="right", no_wrap=True)
        for point in summary.points:
            for probe in ("linear", "mlp", "neighbour"):
                add_row(table, summary, level, point, probe)
        console.print_figures(table)
        console.say(f"  naming the most frequent label: {about.chance:.3f}")
    for note in summary.notes:
        console.say(f"  note: {note}")
    console.say("Intervals: 95 %, bootstrap over concepts, the same draws everywhere.")


def add_row(table: Table, summary: Summary, level: Level, point: Point, probe: Kind) -> None:
    """The row of a probe at a point, where it was fitted."""
    found = {
        figure.control: figure
        for figure in summary.figures
        if (figure.level, figure.point, figure.probe) == (level, point.name, probe)
    }
    if own := found.get(""):
        equal, chance = found["equal_width"], found["shuffled"]
        row = (with_interval(own.top1), with_interval(own.macro), with_interval(equal.top1), f"{chance.top1.value:.3f}")
        table.add_row(point.name, probe, str(point.width), *row)
