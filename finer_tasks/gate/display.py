"""A gate's verdicts for people and for CI: table, JSON, JUnit XML, Markdown, annotations."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

from finer_tasks.console import PlainConsole
from finer_tasks.gate.gate import Gate, Outcome, Verdict
from finer_tasks.gate.measured import Measured
from finer_tasks.text import harmless

_STYLES: dict[Outcome, str] = {"passed": "green", "regressed": "bold red", "inconclusive": "yellow"}
_MARKS: dict[Outcome, str] = {"passed": "✅", "regressed": "❌", "inconclusive": "❔"}
_HEAD = ("task", "metric", "n", "before", "after", "difference", "interval", "p (Holm)", "detectable", "outcome")


def print_gate(gate: Gate, console: PlainConsole) -> None:
    """The table, the reason of each verdict, and what was not compared."""
    table = Table(title=harmless(f"{gate.candidate.model} against {gate.baseline.model}"), title_justify="left")
    for name in _HEAD:
        table.add_column(name)
    for verdict in gate.verdicts:
        *cells, outcome = _cells(verdict)
        table.add_row(*cells, Text(outcome, style=_STYLES[verdict.outcome]))
    console.print_figures(table)
    for line in [*(f"{v.task}: {v.outcome}: {v.reason}" for v in gate.verdicts), *_notes(gate)]:
        console.say(line)
    confidence = 100 * (1 - 2 * gate.policy.alpha)
    console.print(
        f"interval: {confidence:.0f} %, its lower end one-sided at {gate.policy.alpha:g}. p: the larger of the exact McNemar "
        "test (0/1 scores) and a sign-flip test over concepts, adjusted over tasks. detectable: smallest true drop of one task "
        f"that would be found with power {gate.policy.power:g}.",
        style="dim",
        soft_wrap=True,
    )
    console.print(gate.outcome, style=_STYLES[gate.outcome])


def _cells(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.comparison
    return (
        verdict.task,
        verdict.metric,
        str(found.documents),
        f"{found.baseline:.3f}",
        f"{found.candidate:.3f}",
        f"{found.difference:+.4f}",
        f"{found.low:+.4f} to {found.high:+.4f}",
        f"{verdict.p_holm:.2g}",
        "none" if found.detectable is None else f"{found.detectable:.4f}",
        verdict.outcome,
    )


def _notes(gate: Gate) -> list[str]:
    notes = []
    for verdict in gate.verdicts:
        pairs = verdict.pairs
        counts = [f"{len(pairs.ids)} documents matched"]
        counts += [f"{len(found)} {name}" for name, found in (("missing", pairs.missing), ("extra", pairs.extra)) if found]
        counts += [f"{len(pairs.changed)} with other labels or question"] if pairs.changed else []
        counts += [f"compared although {', '.join(pairs.differing)} differ"] if pairs.differing else []
        turned = f"{verdict.comparison.worse} got worse, {verdict.comparison.better} better"
        notes.append(f"{verdict.task}: {'; '.join(counts)}; {turned}")
    if gate.not_compared:
        notes.append(f"not compared: {', '.join(gate.not_compared)}")
    return notes


def as_json(gate: Gate) -> str:
    """Everything but the documents themselves; those that changed by id."""
    record = {
        "outcome": gate.outcome,
        "exit_code": gate.exit_code,
        "baseline": _origin(gate.baseline),
        "candidate": _origin(gate.candidate),
        "policy": asdict(gate.policy),
        "not_compared": gate.not_compared,
        "tasks": [_as_dict(verdict) for verdict in gate.verdicts],
    }
    return json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n"


def _origin(found: Measured) -> dict[str, object]:
    return {"source": found.source, "model": found.model, "settings": dict(found.settings)}


def _as_dict(verdict: Verdict) -> dict[str, object]:
    pairs = verdict.pairs
    return {
        "task": verdict.task,
        "metric": verdict.metric,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "p_holm": verdict.p_holm,
        **asdict(verdict.comparison),
        "matched": len(pairs.ids),
        "missing": pairs.missing,
        "extra": pairs.extra,
        "changed": pairs.changed,
        "differing": pairs.differing,
        "rule": asdict(verdict.rule),
    }


def as_junit(gate: Gate) -> str:
    """JUnit XML: a test case a task; inconclusive ones fail where the policy says so, else are skipped."""
    failing = [v for v in gate.verdicts if _fails(gate, v)]
    suite = ElementTree.Element("testsuite", name="finer regress", tests=str(len(gate.verdicts)), failures=str(len(failing)))
    for verdict in gate.verdicts:
        name = harmless(verdict.task)  # XML has no control characters at all
        case = ElementTree.SubElement(suite, "testcase", classname=f"finer.{verdict.metric}", name=name)
        text = harmless(f"{verdict.outcome}: {verdict.reason}")
        row = harmless(" | ".join(_cells(verdict)))
        if verdict in failing:
            ElementTree.SubElement(case, "failure", message=text, type=verdict.outcome).text = row
        elif verdict.outcome != "passed":
            ElementTree.SubElement(case, "skipped", message=text)
        ElementTree.SubElement(case, "system-out").text = row
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _fails(gate: Gate, verdict: Verdict) -> bool:
    tolerated = ("passed", "inconclusive") if gate.policy.inconclusive == "pass" else ("passed",)
    return verdict.outcome not in tolerated


def as_markdown(gate: Gate) -> str:
    """A table for a CI job's summary."""
    lines = [f"### {_MARKS[gate.outcome]} finer regress: {gate.outcome}", ""]
    lines += [f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|"]
    for verdict in gate.verdicts:
        *cells, outcome = _cells(verdict)
        lines.append(f"| {' | '.join(_plain(cell) for cell in cells)} | {_MARKS[verdict.outcome]} {outcome} |")
    lines += [
        "",
        *(f"- {_plain(v.task)}: {_plain(v.reason)}" for v in gate.verdicts),
        *(f"- {_plain(n)}" for n in _notes(gate)),
    ]
    return "\n".join(lines) + "\n"


def as_annotations(gate: Gate) -> str:
    """Lines that GitHub Actions shows beside the job."""
    kinds: dict[Outcome, str] = {"passed": "notice", "regressed": "error", "inconclusive": "warning"}
    return "".join(
        f"::{kinds[v.outcome]} title=finer regress {harmless(v.task)}::{v.outcome}: {harmless(v.reason)}\n"
        for v in gate.verdicts
    )  # fmt: skip


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return harmless(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
