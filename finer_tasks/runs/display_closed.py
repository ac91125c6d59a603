"""The closed sets of a run in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from finer_tasks.console import PlainConsole
from finer_tasks.runs.cells import figures_table, number, with_error
from finer_tasks.runs.closed import RISK, ClosedRow, SelectiveRow, closed_rows, selective_rows
from finer_tasks.runs.reading import Run
from finer_tasks.text import harmless

_CONFUSIONS = 5
_SELECTIVE = (
    "area: under the curve of risk (share of the answers that is wrong) against coverage (share of the documents answered), "
    "the most confident first; excess: above that of the best order. back-off: each document is answered at the finest level "
    "that is sure enough, and its coverage is the mean level, as a share of the three."
)


def print_closed(run: Run, console: PlainConsole) -> None:
    """The figures of each closed set, what was taken for what, and what answering only where the model is sure gives."""
    found = closed_rows(run)
    if not found:
        return
    table = figures_table("closed sets", ("dataset", "level", "parent", "score"), ("n", "top-1", "top-5", "mean rank", "ECE"))
    for row in found:
        table.add_row(
            row.dataset, row.level, row.parent, row.kind, str(row.documents), with_error(row.top1, row.top1_error),
            number(row.top5), number(row.rank, 2), number(row.ece),
        )  # fmt: skip
    console.print_figures(table)
    for row in found:
        _print_confusions(row, console)
    _print_selective(selective_rows(run), console)


def _print_confusions(row: ClosedRow, console: PlainConsole) -> None:
    if not row.confusions:
        return
    shown = "; ".join(f"{right} as {chosen} {count}" for right, chosen, count in row.confusions[:_CONFUSIONS])
    wrong = sum(count for _, _, count in row.confusions)
    told = f"{row.dataset} {row.level}, {row.kind}: of {row.documents} documents {wrong} taken for another concept: {shown}"
    console.say(harmless(told))


def _print_selective(rows: Sequence[SelectiveRow], console: PlainConsole) -> None:
    within = f"with risk {RISK:g}"
    figures = ("n", "area", "excess", f"coverage {within}", f"answered {within}")
    table = figures_table("closed sets: answering only where sure", ("dataset", "score", "level"), figures)
    for row in rows:
        answered = ", ".join(f"{level} {count}" for level, count in row.answered.items()) or "none"
        table.add_row(
            row.dataset, row.kind, row.level, str(row.documents), number(row.area), number(row.excess),
            number(row.coverage), answered,
        )  # fmt: skip
    console.print_figures(table)
    console.say(_SELECTIVE, style="dim")
