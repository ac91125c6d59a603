"""Tables for the terminal."""

from __future__ import annotations

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.runs.cells import number, with_error
from finer_tasks.runs.display_asked import print_asked
from finer_tasks.runs.display_choices import print_choices
from finer_tasks.runs.display_closed import print_closed
from finer_tasks.runs.display_paths import print_paths
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.summary import (
    Row,
    attribute_rows,
    consistencies,
    disagreements,
    rows,
    seek_rows,
    unanswered_counts,
)
from finer_tasks.text import harmless

_LEGEND = (
    "± standard error, clustered by concept (em macro: over concepts). depth: deepest level named rightly, 0 to 3. "
    "lca: edges between named and true concept, where one is named. named: share of answers that name one concept."
)
_UNANSWERED = {
    "corrupt_images": "`finer doctor` lists them",
    "failed_requests": "The backend returned no answer; run lmms-eval again",
    "unfinished_thoughts": "The model was cut off while it thought; run lmms-eval again with --gen_kwargs max_new_tokens=4096",
}


def print_summary(run: Run, console: PlainConsole, with_reasons: bool = False) -> None:
    """The table of a run, what identifies it, and the notes a reader needs."""
    table = Table(title=harmless(run.model), title_justify="left")
    for name in ("dataset", "level", "parent", "variant"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "em", "em macro", "f1", "em_strict", "depth", "lca", "named"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = rows(run)
    for row in shown:
        table.add_row(
            row.dataset, row.level, row.parent, row.variant, str(row.documents),
            with_error(row.em, row.em_error), with_error(row.em_macro, row.em_macro_error), number(row.f1),
            with_error(row.em_strict, row.em_strict_error), number(row.depth, 2),
            number(row.lca_distance, 2), number(row.named),
        )  # fmt: skip
    if shown:
        console.print_figures(table)
        console.say(_LEGEND, style="dim")
    print_closed(run, console)
    print_asked(run, console)
    print_choices(run, console, with_reasons)
    _print_attributes(run, console)
    print_paths(run, console)
    _print_notes(run, console)
    for task in run.tasks:
        _print_unanswered(task, console)
        if task.part:
            console.say(f"{task.name}: on {task.part} only; not comparable with published figures")
    if run.replies and run.replies["reused"]:
        asked = run.replies["reused"] + run.replies["generated"]
        console.say(
            harmless(f"{run.replies['reused']} of {asked} replies were taken from an earlier run, in {run.replies['folder']}")
        )
    for row in shown:
        _print_reservations(row, console)
    if with_reasons and shown:
        _print_reasons(run, console)
    console.say(_origin(run), style="dim")


def _print_notes(run: Run, console: PlainConsole) -> None:
    for seek in seek_rows(run):
        console.say(
            f"{seek.task} ({seek.rounds}): of {seek.documents} first turns {seek.empty} were empty, "
            f"{seek.endless} did not end, {seek.named} named the concept already"
        )
    for item in consistencies(run):
        console.say(
            f"consistency, {item.dataset} {item.variant} parent={item.parent}: of the {item.fine_right} documents with a "
            f"right fine answer, a share of {number(item.em)} has a right coarse one (by em_strict {number(item.em_strict)})"
        )


def _origin(run: Run) -> str:
    identity = run.tasks[0].identity
    first = identity.get("scored_first", identity["scoring"])
    scoring = f"scoring {identity['scoring']}" + (f" (first scored by {first})" if first != identity["scoring"] else "")
    sets = dict.fromkeys(f"{task.identity['prompt_set']} {task.identity['prompt_hash']}" for task in run.tasks)
    origin = f", {run.origin}" if run.origin else ""
    return f"prompts {' and '.join(sets)}, {scoring}, finer-tasks {identity['finer_version']}{origin}, {run.path}"


def _print_unanswered(task: TaskRun, console: PlainConsole) -> None:
    counts = unanswered_counts(task)
    for name, advice in _UNANSWERED.items():
        if counts[name]:
            told = f"{counts[name]} of {len(task.samples)} {name.replace('_', ' ')}, scored as wrong"
            console.say(f"{task.name}: {told}. {advice}")


def _print_reservations(row: Row, console: PlainConsole) -> None:
    name = f"{row.dataset} {row.level} {row.variant}"
    if row.echo:
        console.say(
            f"{name}: in a share of {number(row.echo)} the question tells a label that counts as right; without these "
            f"documents em {number(row.em_no_echo)}, em_strict {number(row.em_strict_no_echo)}",
        )


def _print_attributes(run: Run, console: PlainConsole) -> None:
    found = attribute_rows(run)
    if not found:
        return
    table = Table(title="attribute lists", title_justify="left")
    table.add_column("figure", no_wrap=True)
    for row in found:
        table.add_column(f"{row.dataset} {row.variant}", justify="right")
    table.add_row("documents", *(str(row.documents) for row in found))
    for name in found[0].scores:
        table.add_row(name, *(number(row.scores[name]) for row in found))
    table.add_row("replies without a list", *(str(row.unparsed) for row in found))
    table.add_row("similarity", *(row.similarity for row in found))
    console.print_figures(table)


def _print_reasons(run: Run, console: PlainConsole) -> None:
    shown = rows(run)
    reasons = list(dict.fromkeys(reason for row in shown for reason in row.reasons))
    table = Table(title="em_strict: what the answers were", title_justify="left")
    for name in ("dataset", "parent", "level", *reasons):
        table.add_column(name, justify="left" if name in ("dataset", "parent", "level") else "right", no_wrap=True)
    for row in shown:
        table.add_row(row.dataset, row.parent, row.level, *(str(row.reasons.get(reason, 0)) for reason in reasons))
    console.print_figures(table)


def print_disagreements(run: Run, console: PlainConsole, most: int) -> None:
    """The documents on which em and em_strict differ, with answer and reason."""
    for task in run.tasks:
        if not task.names_concepts:
            continue
        differing = disagreements(task)
        console.say(f"{task.name}: em and em_strict differ on {len(differing)} of {len(task.samples)} documents")
        for sample in differing[:most]:
            verdict = (
                f"em {sample.items['em']['score']:.0f}, em_strict {sample.items['em_strict']['score']:.0f} ({sample.reason})"
            )
            console.say(f"  {sample.record['id']}  {verdict}  {_one_line(sample.answer)!r}")


def _one_line(text: str, width: int = 120) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
