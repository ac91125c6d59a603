"""Comparisons of backends in the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from finer_tasks.backends.comparison import BackendComparison, TaskComparison
from finer_tasks.backends.reasons import TOLD, Difference
from finer_tasks.console import PlainConsole
from finer_tasks.statistics.bootstrap import CONFIDENCE
from finer_tasks.text import harmless, shortened

_HEAD = ("task", "n", "replies", "answers", "verdicts", "score", "A", "B", "B - A", "interval", "p (Holm)", "only A", "only B")
_LEGEND = (
    "replies: documents whose replies differ in any character; answers: as they are scored; verdicts: whose score differs. "
    "interval: {confidence:.0f} %, by concept. p: two-sided, the larger of the exact McNemar test (0/1 scores) and a sign-flip "
    "test over concepts, adjusted over tasks. only A, only B: documents with the higher score there."
)


def print_comparison(found: BackendComparison, console: PlainConsole, documents: int) -> None:
    """The table, what differs between the runs, the reasons, and the first differing documents of each task."""
    for name, run in (("A", found.a), ("B", found.b)):
        console.say(f"{name}: {run.model}, {run.path}")
    table = Table()
    for name in _HEAD:
        table.add_column(name)
    for task in found.tasks:
        table.add_row(*_cells(task))
    console.print_figures(table)
    console.say(_LEGEND.format(confidence=100 * CONFIDENCE), style="dim")
    for task in found.tasks:
        for line in _notes(task):
            console.say(f"{task.task}: {line}")
        for one in task.differing[:documents]:
            console.say(f"  {_line(one)}")
    if found.not_compared:
        console.say(f"in one run only: {', '.join(found.not_compared)}")


def _cells(task: TaskComparison) -> tuple[str, ...]:
    found = task.measure
    return (
        task.task,
        str(task.documents),
        str(task.replies),
        str(task.answers),
        str(task.verdicts),
        found.metric,
        f"{found.a:.4f}",
        f"{found.b:.4f}",
        f"{found.difference:+.4f}",
        f"{found.low:+.4f} to {found.high:+.4f}",
        f"{found.p_holm:.2g}",
        str(found.only_a),
        str(found.only_b),
    )


def _notes(task: TaskComparison) -> list[str]:
    notes = [f"{count} of {task.replies} differing replies: {TOLD[reason]}" for reason, count in task.reasons.items()]
    told = {name: pair for name, pair in task.settings.items() if name != "model"}
    notes += [f"{name} differs: {_shown(a)} in A, {_shown(b)} in B" for name, (a, b) in told.items()]
    if task.unknown and task.replies:
        notes.append(f"not told by both runs: {', '.join(task.unknown)}")
    equal, differ = task.margins
    if differ is not None:
        rest = "" if equal is None else f"; where they agree, {equal:.3g}"
        notes.append(f"least margin between the logits of the two best tokens, median where replies differ: {differ:.3g}{rest}")
    if task.allowed:
        notes.append(f"compared although {', '.join(task.allowed)} differ")
    return notes


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {shortened(item)}" for key, item in value.items())
    return harmless(str(value))


def _line(one: Difference) -> str:
    where = f"reply {one.round}, {one.unit} {one.position}" if one.round > 1 else f"{one.unit} {one.position}"
    told = min((margin for margin in one.margins if margin is not None), default=None)
    margin = "" if told is None else f", least margin {told:.3g}"
    score = f"{one.score_a:g}" if one.score_a == one.score_b else f"{one.score_a:g} and {one.score_b:g}"
    return f"{one.id} ({one.reason}; from {where} on{margin}; score {score}): {_text(one.a)} | {_text(one.b)}"


def _text(reply: str) -> str:
    return shortened(" ".join(reply.split()), 80)
