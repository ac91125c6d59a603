"""Why two runs of the same question gave different replies, as far as their logs tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from finer_tasks.runs.comparing import Conditions, Side, decoding
from finer_tasks.runs.samples import Sample

Reason = Literal[
    "no_answer", "question", "decoding", "rounds", "template", "pixels", "prompt_tokens", "precision", "unknown", "sums"
]  # fmt: skip
# What is said of each reason.
TOLD: Mapping[Reason, str] = {
    "no_answer": "one backend gave no answer",
    "question": "the question as logged differs",
    "decoding": "the settings of decoding differ",
    "rounds": "the turns were put in another way",
    "template": "the chat template differs",
    "pixels": "the image processor differs, or the format in which images are sent",
    "prompt_tokens": "the prompts have other numbers of tokens: template, image tokens or size of the image",
    "precision": "precision, attention or device differ",
    "unknown": "one run does not tell its template and pixels, so that these and the order of sums cannot be told apart",
    "sums": "template, pixels, decoding and precision are the same: the order of sums, as by batch size, machine or versions",
}
# What a run may tell of its backend, and to which reason a difference in it belongs.
_BACKEND: Mapping[str, Reason] = {
    "template": "template", "pixels": "pixels", "dtype": "precision", "attention": "precision", "device": "precision",
}  # fmt: skip
# What else a run tells of itself.
_SETTINGS: Conditions = {
    "decoding": lambda side: decoding(side) | {"gen_kwargs": side[0].settings.get("gen_kwargs") or ""},
    "rounds": lambda side: side[1].identity.get("rounds"),
    "sent_as": lambda side: (side[1].identity.get("backend") or {}).get("sent_as"),
    "model": lambda side: side[0].model,
    "batch_size": lambda side: str(side[0].settings.get("batch_size")),
    "versions": lambda side: side[1].identity.get("versions"),
    "machine": lambda side: side[1].identity.get("machine"),
}
_WORD = re.compile(r"\S+")


class Reader(Protocol):
    """Parts a reply into pieces, of which the first that differs is looked for."""

    unit: str

    def parts(self, text: str) -> Sequence[Any]: ...


class Words:
    """Words between white space."""

    unit = "word"

    def parts(self, text: str) -> Sequence[str]:
        return _WORD.findall(text)


@dataclass(frozen=True)
class Difference:
    """A document whose replies differ.

    round: the first reply that differs, counted from 1. position: its first piece that differs, counted from 1; one more than
    there are where the other goes on. margins: the least margins of the last replies, where they are recorded.
    """

    id: str
    reason: Reason
    round: int
    position: int
    unit: str
    a: str
    b: str
    score_a: float
    score_b: float
    margins: tuple[float | None, float | None]


def difference(
    a: Sample,
    b: Sample,
    metric: str,
    settings: Mapping[str, tuple[Any, Any]],
    unknown: Sequence[str],
    reader: Reader,
) -> Difference:
    """What differs between two replies to one question, and why."""
    mine, its = (sample.outputs or (sample.answer,) for sample in (a, b))
    number = next((n for n, (x, y) in enumerate(zip(mine, its, strict=False)) if x != y), min(len(mine), len(its)))
    first, other = (replies[number] if number < len(replies) else "" for replies in (mine, its))
    return Difference(
        id=str(a.record["id"]),
        reason=_reason(a, b, settings, unknown),
        round=number + 1,
        position=_position(reader.parts(first), reader.parts(other)),
        unit=reader.unit,
        a=first,
        b=other,
        score_a=a.score(metric),
        score_b=b.score(metric),
        margins=(a.counts.get("least_margin"), b.counts.get("least_margin")),
    )


def settings_that_differ(a: Side, b: Side) -> tuple[dict[str, tuple[Any, Any]], tuple[str, ...]]:
    """What two runs tell of themselves and differs, as (of A, of B); and what at least one of them does not tell."""
    backends = [side[1].identity.get("backend") or {} for side in (a, b)]
    unknown = tuple(name for name in _BACKEND if any(name not in told for told in backends))
    told = {name: (backends[0][name], backends[1][name]) for name in _BACKEND if name not in unknown}
    told |= {name: (read(a), read(b)) for name, read in _SETTINGS.items()}
    return {name: _unequal(*pair) for name, pair in told.items() if pair[0] != pair[1]}, unknown


def _unequal(a: Any, b: Any) -> tuple[Any, Any]:
    """Of two mappings only what differs."""
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return a, b
    keys = [key for key in {**a, **b} if a.get(key) != b.get(key)]
    return {key: a.get(key) for key in keys}, {key: b.get(key) for key in keys}


def _reason(a: Sample, b: Sample, settings: Mapping[str, Any], unknown: Sequence[str]) -> Reason:
    if a.unanswered or b.unanswered:
        return "no_answer"
    if a.question and b.question and a.question != b.question:
        return "question"
    for name in ("decoding", "rounds"):
        if name in settings:
            return "decoding" if name == "decoding" else "rounds"
    for name in ("template", "pixels"):
        if name in settings:
            return _BACKEND[name]
    if "sent_as" in settings:
        return "pixels"
    prompts = [sample.counts.get("input_tokens") for sample in (a, b)]
    if None not in prompts and prompts[0] != prompts[1]:
        return "prompt_tokens"
    if any(_BACKEND.get(name) == "precision" for name in settings):
        return "precision"
    return "unknown" if {"template", "pixels"} & set(unknown) else "sums"


def _position(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The first place, from 1, at which two sequences differ."""
    same = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return same + 1
