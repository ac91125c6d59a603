"""A diagnosis in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finer_tasks.console import PlainConsole
from finer_tasks.diagnose.diagnosis import RULES, Diagnosis
from finer_tasks.diagnose.verdict import NAMED, UNDECIDED
from finer_tasks.runs.cells import with_interval


def print_diagnoses(found: Sequence[Diagnosis], console: PlainConsole, most: int = 20) -> None:
    """Stages, fates and the concepts that are not named, for each level."""
    for one in found:
        _print_stages(one, console)
        _print_fates(one, console)
        _print_concepts(one, console, most)
        for note in one.notes:
            console.say(f"  note: {note}")
    for name, rule in RULES.items():
        console.say(f"{name}: {rule}.", style="dim")
    console.say("Intervals: 95 %, bootstrap over concepts.", style="dim")


def _print_stages(one: Diagnosis, console: PlainConsole) -> None:
    table = Table(
        title=f"{one.dataset}, {one.level}: {one.documents} documents of {one.concepts} concepts", title_justify="left"
    )
    table.add_column("stage", no_wrap=True)
    for name in ("right", "labels shuffled", "concepts above chance", "p at most"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("measured by")
    for row in one.stages:
        asked = row.threshold
        table.add_row(
            row.stage, with_interval(row.right), "" if asked.chance is None else f"{asked.chance:.3f}",
            f"{asked.above} of {asked.of}", "" if asked.p is None else f"{asked.p:.2g}", row.source,
        )  # fmt: skip
    console.print(table)
    if one.text is not None:
        console.say(
            f"  named from the attributes in words, without image: {with_interval(one.text)}; {one.known} concepts known"
        )
    if one.attributes is not None:
        console.say(f"  attributes listed for the images: attr_f1 {one.attributes:.3f}")


def _print_fates(one: Diagnosis, console: PlainConsole) -> None:
    table = Table("what becomes of it")
    table.add_column("share of documents", justify="right", no_wrap=True)
    table.add_column("concepts", justify="right")
    for fate, share in one.overall.shares.items():
        table.add_row(fate, with_interval(share), str(one.overall.concepts.get(fate, "")))
    table.add_row(UNDECIDED, "", str(one.overall.concepts[UNDECIDED]))
    console.print(table)
    console.say(f"  verdict: {one.overall.verdict}. Largest loss: {one.overall.loss or 'none'}")


def _print_concepts(one: Diagnosis, console: PlainConsole, most: int) -> None:
    odd = [verdict for verdict in one.verdicts if verdict.fate != NAMED]
    if not odd:
        return
    table = Table(
        "concept", "verdict", title=f"concepts that are not named, {min(len(odd), most)} of {len(odd)}", title_justify="left"
    )
    for row in one.stages:
        table.add_column(row.stage, justify="right")
    table.add_column("known")
    for verdict in odd[:most]:
        fate = verdict.fate if verdict.fate != UNDECIDED else f"{UNDECIDED}: {', '.join(verdict.possible)}"
        table.add_row(
            verdict.name, fate, *(f"{m.right}/{verdict.documents}" for m in verdict.stages.values()),
            {None: "?", True: "yes", False: "no"}[verdict.known],
        )  # fmt: skip
    console.print(table)
