"""The path figures of a run in the terminal, where it has all three levels of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.datasets.record import LEVELS
from finer_tasks.runs.cells import with_interval
from finer_tasks.runs.paths import SCORERS, AnswerRow, PathRow, answer_rows, path_rows, tells_specificity
from finer_tasks.runs.reading import Run
from finer_tasks.runs.summary import naming_tasks
from finer_tasks.scoring.closed import KINDS
from finer_tasks.statistics.bootstrap import Estimate

_Key = tuple[str, str, str, str]
_PATH_FIGURES: tuple[tuple[str, Callable[[PathRow], Estimate | None]], ...] = (
    ("hca", lambda row: row.hca),
    ("por", lambda row: row.por),
    ("s_por", lambda row: row.s_por),
    ("tor", lambda row: row.tor),
)
_ANSWER_FIGURES: tuple[tuple[str, Callable[[AnswerRow], Estimate | None]], ...] = (
    ("hp", lambda row: row.precision),
    ("hr", lambda row: row.recall),
    ("hf1", lambda row: row.f1),
    ("correct", lambda row: row.correctness),
    ("specific", lambda row: row.specificity),
)
_LEGEND = (
    "hca: all three levels right. por: share of the levels that are right; s_por: of the longest run of them. tor: share of "
    "the two pairs of adjacent levels that are both right. hp, hr, hf1: share of the named path that is true, share of the "
    "true path that is named, and both together. correct: nothing named is wrong. specific: levels named, 1 to 3. "
    "hp, correct, specific: over the answers that name something. Intervals: 95 %, bootstrap over concepts."
)
_CLOSED = [f"closed_top1_{kind}" for kind in KINDS]
_TOLD = "parent=gold: the questions tell the true label above; parent=none shows the paths without that help."


def print_paths(run: Run, console: PlainConsole) -> None:
    """A table of paths, by each score, and one of the answers they are made of; nothing where there is no path."""
    found = path_rows(run)
    if not found:
        return
    by_path: dict[tuple[str, str, str], list[PathRow]] = {}
    for row in found:
        by_path.setdefault(_key(row), []).append(row)
    for title, scorers in (
        ("paths: superordinate, coarse and fine answer of a document", list(SCORERS)),
        ("paths: superordinate, coarse and fine choice of a document in closed sets", _CLOSED),
    ):
        _print_figures(title, [rows for rows in by_path.values() if rows[0].scorer in scorers], console)
    answers = {(*_key(row), row.level): row for row in answer_rows(run)}
    _print_answers(answers, (rows[0] for rows in by_path.values()), console)
    console.say(_LEGEND, style="dim")
    if any(row.parent == "gold" for row in found):
        console.say(_TOLD, style="dim")
    for row, *_ in by_path.values():
        if row.left_out:
            console.say(
                f"paths, {row.dataset} {row.variant} parent={row.parent}: {row.left_out} documents are left out, since not all "
                "three tasks have them. Run the three with the same --limit"
            )
    for task in naming_tasks(run):
        if not tells_specificity(task):
            console.say(f"{task.name}: the log does not tell how specific answers are; --rescore adds hp, hr and hf1")


def _print_figures(title: str, paths: Sequence[Sequence[PathRow]], console: PlainConsole) -> None:
    if not paths:
        return
    scorers = [row.scorer for row in max(paths, key=len)]
    table = _table(title, [f"by {scorer}" for scorer in scorers])
    for rows in paths:
        of = {row.scorer: row for row in rows}
        table.add_row(*_key(rows[0]), "documents", *(str(of[s].documents) if s in of else "-" for s in scorers))
        for name, read in _PATH_FIGURES:
            table.add_row("", "", "", name, *(with_interval(read(of[s]) if s in of else None) for s in scorers))
        table.add_section()
    console.print_figures(table)


def _print_answers(answers: Mapping[_Key, AnswerRow], found: Iterable[PathRow], console: PlainConsole) -> None:
    table = _table("paths: what the answers name, by em_strict", LEVELS)
    for path in found:
        dataset, parent, variant = _key(path)
        keys = [(dataset, "none" if level == LEVELS[0] else parent, variant, level) for level in LEVELS]
        if not all(key in answers for key in keys):
            continue
        rows = [answers[key] for key in keys]
        table.add_row(dataset, parent, variant, "named", *(f"{row.named} of {row.documents}" for row in rows))
        for name, read in _ANSWER_FIGURES:
            table.add_row("", "", "", name, *(with_interval(read(row)) for row in rows))
        table.add_section()
    if table.rows:
        console.print_figures(table)


def _table(title: str, figures: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("dataset", "parent", "variant", "figure"):
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _key(row: PathRow | AnswerRow) -> tuple[str, str, str]:
    return row.dataset, row.parent, row.variant
