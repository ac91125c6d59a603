"""A judge's verdicts in the terminal, beside em and em_strict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.runs.cells import with_interval
from finer_tasks.runs.judging import PROMPT_HASH, JudgeRow

_LEGEND = (
    "right: by the judge. agrees with …: the share of documents on which both say the same. judge only: right by the judge, "
    "wrong by em_strict; strict only: the other way round. unclear: without a verdict, left out. The judge changes no score."
)


def print_judged(rows: Sequence[JudgeRow], judge: str, console: PlainConsole) -> None:
    """One line a task."""
    table = Table(title=f"judged by {judge}, prompt {PROMPT_HASH}", title_justify="left")
    table.add_column("task", no_wrap=True)
    for name in ("n", "right", "agrees with em", "agrees with em_strict", "judge only", "strict only", "unclear"):
        table.add_column(name, justify="right")
    for row in rows:
        figures = map(with_interval, (row.right, row.agrees_em, row.agrees_em_strict))
        counts = map(str, (row.only_judge, row.only_strict, row.unclear))
        table.add_row(row.task, str(row.documents), *figures, *counts)
    console.print_figures(table)
    console.say(_LEGEND, style="dim")
