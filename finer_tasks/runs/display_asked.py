"""The questions beside the open one in the terminal."""

from __future__ import annotations

from finer_tasks.console import PlainConsole
from finer_tasks.runs.asked import abstain_rows, open_rows, yesno_rows
from finer_tasks.runs.cells import figures_table, number, with_error
from finer_tasks.runs.reading import Run

_OPEN = (
    "missing: documents whose right name is not offered. right: the right name, or a refusal where it is missing. named and "
    "unlisted: right names where offered, and where missing. true and false refusal: of lists without the right name, and with "
    "it. balanced: the mean of true refusal and 1 - false refusal, by chance 0.5."
)
_YES_NO = (
    "both: yes to the true name and no to the wrong one, by chance 0.250. d': z(yes to true) - z(yes to wrong), by chance 0. "
    "yes: share of the plain answers that is yes, without bias 0.5. neither: replies that are no plain yes or no, and wrong."
)


def print_asked(run: Run, console: PlainConsole) -> None:
    """What was declined, what became of lists of names, and of yes and no; nothing where no task asks in these ways."""
    _print_abstaining(run, console)
    _print_open(run, console)
    _print_yesno(run, console)


def _print_abstaining(run: Run, console: PlainConsole) -> None:
    if not (rows := abstain_rows(run)):
        return
    figures = ("n", "answered", "declined", "em of answered", "em_strict of answered")
    table = figures_table("leave to decline", ("dataset", "level", "parent"), figures)
    for row in rows:
        table.add_row(
            row.dataset, row.level, row.parent, str(row.documents), number(row.answered), number(row.declined),
            number(row.em_answered), number(row.em_strict_answered),
        )  # fmt: skip
    console.print_figures(table)


def _print_open(run: Run, console: PlainConsole) -> None:
    if not (rows := open_rows(run)):
        return
    figures = ("n", "missing", "right", "named", "unlisted", "true refusal", "false refusal", "balanced", "f1")
    table = figures_table("lists that may lack the right name", ("dataset", "level"), figures)
    for row in rows:
        shares = row.named, row.unlisted, row.true_refusal, row.false_refusal, row.balanced, row.f1
        counts = str(row.documents), str(row.missing)
        table.add_row(row.dataset, row.level, *counts, with_error(row.right, row.right_error), *map(number, shares))
    console.print_figures(table)
    console.say(_OPEN, style="dim")


def _print_yesno(run: Run, console: PlainConsole) -> None:
    if not (rows := yesno_rows(run)):
        return
    figures = ("n", "both", "accuracy", "true name", "wrong name", "d'", "yes", "neither")
    table = figures_table("yes or no", ("dataset", "level"), figures)
    for row in rows:
        table.add_row(
            row.dataset, row.level, str(row.documents), with_error(row.both, row.both_error), number(row.accuracy),
            number(row.true), number(row.false), number(row.d_prime, 2), number(row.yes), str(row.neither),
        )  # fmt: skip
    console.print_figures(table)
    console.say(_YES_NO, style="dim")
    for row in rows:
        if row.farther:
            console.say(
                f"{row.dataset} {row.level}: the wrong name of {row.farther} of {row.documents} documents is from farther off, "
                "since their concepts have no sibling"
            )
