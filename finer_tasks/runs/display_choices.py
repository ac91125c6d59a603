"""The multiple-choice tasks of a run in the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.options.settings import LETTERS
from finer_tasks.runs.cells import number, with_error
from finer_tasks.runs.multiple_choice import ChoiceRow, choice_rows
from finer_tasks.runs.reading import Run

_LEGEND = (
    "over chance: accuracy after correction for guessing, 0 for guessing and 1 for all right. chose: share of the documents "
    "for which an option is chosen. by FOCI, by TARA: by the rules of these benchmarks, which look at letters alone."
)
_BIAS = (
    "right at: accuracy of the documents whose right option stands there, with Wilson's 95 % interval; chosen: share of the "
    "choices (expected without a bias). p: chi-square tests that take documents as independent."
)


def print_choices(run: Run, console: PlainConsole, with_reasons: bool = False) -> None:
    """Accuracy, what guessing leaves of it, and position bias."""
    found = choice_rows(run)
    if not found:
        return
    table = Table(title="multiple choice", title_justify="left")
    for name in ("dataset", "level", "options", "score"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "accuracy", "chance", "over chance", "chose", "by FOCI", "by TARA", "both levels"):
        table.add_column(name, justify="right")
    for row in found:
        rules = [number(row.rules[rule]) if rule in row.rules else "-" for rule in ("mc_foci_rule", "mc_tara_rule")]
        table.add_row(
            row.dataset, row.level, f"{row.options} {row.choices}", row.score, str(row.documents),
            with_error(row.accuracy, row.error), number(row.chance), number(row.corrected), number(row.chose), *rules,
            number(row.both_levels),
        )  # fmt: skip
    console.print_figures(table)
    console.say(_LEGEND, style="dim")
    _print_bias(found, console)
    for row in found if with_reasons else ():
        if row.reasons:
            told = ", ".join(f"{reason} {count}" for reason, count in row.reasons.items())
            by = ", ".join(f"{how} {count}" for how, count in row.told_by.items()) or "none"
            console.say(f"{row.task}: {told}; options told by {by}")


def _print_bias(found: list[ChoiceRow], console: PlainConsole) -> None:
    table = Table(title="position bias", title_justify="left")
    for name in ("dataset", "level", "score"):
        table.add_column(name, no_wrap=True)
    for letter in LETTERS[: max(row.options for row in found)]:
        table.add_column(f"right at {letter}", justify="right")
        table.add_column(f"chosen {letter}", justify="right")
    for name in ("spread", "p accuracy", "p chosen"):
        table.add_column(name, justify="right")
    for row in found:
        cells: list[str] = []
        for position in row.bias.positions:
            interval = "" if math.isnan(position.low) else f" [{position.low:.2f}, {position.high:.2f}]"
            cells += [f"{number(position.accuracy)}{interval}", f"{position.chosen:.3f} ({position.expected:.3f})"]
        table.add_row(
            row.dataset, row.level, row.score, *cells, number(row.bias.spread), _p(row.bias.accuracy_p), _p(row.bias.chosen_p)
        )
    console.print_figures(table)
    console.say(_BIAS, style="dim")


def _p(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"
