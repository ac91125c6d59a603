"""The page of documents whose score changed, with both answers and the image where it is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from finer_tasks.gate.gate import Gate, Verdict
from finer_tasks.runs.pages import page_environment
from finer_tasks.runs.thumbnails import terms_of_pictures, thumbnail
from finer_tasks.writing import write_text

MOST = 400


@dataclass(frozen=True)
class Flip:
    """A document that got worse or better."""

    id: str
    label: str
    before: str
    after: str
    change: float
    image: str


def write_flips(gate: Gate, path: Path) -> None:
    """Write the page; at most 400 documents a task and direction have a picture and a row, the rest are counted."""
    source = (resources.files("finer_tasks.gate") / "flips.html.j2").read_text(encoding="utf-8")
    tasks: list[dict[str, Any]] = [
        {
            "verdict": v,
            "worse": _flips(gate, v, -1),
            "better": _flips(gate, v, 1),
            "counts": (v.comparison.worse, v.comparison.better),
        }
        for v in gate.verdicts
    ]
    shown = [flip.id for task in tasks for flip in (*task["worse"], *task["better"]) if flip.image]
    text = page_environment().from_string(source).render(gate=gate, tasks=tasks, most=MOST, terms=terms_of_pictures(shown))
    write_text(path, text)


def _flips(gate: Gate, verdict: Verdict, direction: int) -> list[Flip]:
    sign = 1 if verdict.rule.direction == "higher" else -1
    pairs, found = verdict.pairs, []
    for identity, before, after in zip(pairs.ids, pairs.baseline, pairs.candidate, strict=True):
        change = after.scores[verdict.metric] - before.scores[verdict.metric]
        if change * sign * direction > 0:
            found.append((abs(change), identity, before, after, change))
    found.sort(key=lambda item: (-item[0], item[1]))
    seen = gate.candidate.tasks[verdict.task].identity
    return [
        Flip(i, f"{b.coarse}: {b.fine}", b.answer, a.answer, change, thumbnail(i, seen)) for _, i, b, a, change in found[:MOST]
    ]
