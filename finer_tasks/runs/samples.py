"""Reading the samples file of a task: one document a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finer_tasks.datasets.record import LEVELS, dataset_of
from finer_tasks.errors import ResultsError, at_line
from finer_tasks.replies import COUNTED_AS, Unanswered, no_answer, read_reply, rounds_of
from finer_tasks.scoring.closed import FIGURES, KINDS, RANKS
from finer_tasks.scoring.multiple_choice import DETAIL, LIKELIHOODS, offered_in
from finer_tasks.scoring.task_kinds import CLOSED, OPEN, OPTIONS_BY_LIKELIHOOD, TASK_KINDS, YES_NO, kind_of
from finer_tasks.text import well_formed

if TYPE_CHECKING:
    from finer_tasks.runs.unscored import Documents

RECORD_FIELDS = ("id", "superordinate", "coarse", "fine", "concept_id", "class_id")
# Figures that need not exist for a document, and those that are no shares.
_OPTIONAL = {
    "lca_distance", "em_no_echo", "em_strict_no_echo", "em_answered", "em_strict_answered",
    "open_named", "open_unlisted", "true_refusal", "false_refusal", "yesno_yes", *RANKS,
}  # fmt: skip
_HIGHEST = {"depth": 3.0, "lca_distance": 6.0, "yesno_neither": 2.0}
_HIGHEST |= dict.fromkeys(("attr_discriminability_rank", *RANKS), 1e6)
_REFUSALS = {"refusal_balanced", "refusal_f1"}
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Sample:
    """One document of a task: its record, the answer scored, and the items of each metric.

    `outputs` are the replies as logged, the last one scored; `question` what was asked, empty where
    lmms-eval did not log it; `number` the document's place in its split, None where no file tells it; `counts` what the
    backend told of the tokens of the last request.
    """

    record: Mapping[str, Any]
    answer: str
    items: Mapping[str, Mapping[str, Any]]
    outputs: tuple[str, ...] = ()
    question: str = ""
    number: int | None = None
    counts: Mapping[str, float] = field(default_factory=dict)

    def score(self, metric: str) -> float:
        """What the answer got."""
        return float(self.items[metric]["score"])

    @property
    def unanswered(self) -> Unanswered | None:
        """Why the document has no answer of the model, which then counts as wrong; None if it has one."""
        found = next((why for why, name in COUNTED_AS.items() if self.items.get(name, {}).get("value")), None)
        # Runs of scoring version 1 do not count all reasons.
        return found if found or set(COUNTED_AS.values()) <= set(self.items) else no_answer(self.outputs)

    @property
    def reason(self) -> str:
        """What the strict scorer made of the answer; empty where it read none."""
        return str(self.items.get(kind_of(self.items).detail, {}).get("reason", ""))

    @property
    def asked(self) -> list[str]:
        """What was asked beside `question`, where that is not all."""
        kind = kind_of(self.items)
        return [text for key in kind.asked for text in self.items[kind.detail][key]]

    @property
    def specificity(self) -> int | None:
        """The deepest level that the answer names, rightly or not; None in logs of versions that did not keep it."""
        return self.items.get("em_strict", {}).get("specificity")


def read_samples(path: Path, identity: Mapping[str, Any], unscored: bool = False) -> Iterator[Sample]:
    """The documents in order; raises ResultsError with the line of the first that cannot be one of the task.

    Answers that lmms-eval's --predict_only has left without scores are refused, or read with their documents from the
    prepared dataset where `unscored` asks for it.
    """
    documents: Documents | None = None
    seen: dict[str, int] = {}
    kinds: dict[str, str] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                raw = _object(line)
                if _is_unscored(raw):
                    documents = documents or _documents(path, identity, unscored)
                    sample, level, found = _unscored_sample(raw, documents), None, {}
                else:
                    sample, level = _sample(raw, line)
                    found = _checked_kinds(sample)
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                cut = (
                    "the last line is cut off" if not line.endswith(b"\n") else f"not a sample of a FINER task ({_why(error)})"
                )
                raise ResultsError(at_line(path, number, cut)) from error
            document = sample.record["id"]
            if dataset_of(document) != identity["dataset"] or level not in (None, identity["level"]):
                told = f"{document} was scored at level {level or 'unknown'}"
                told += f", the task is {identity['dataset']} {identity['level']}"
                raise ResultsError(at_line(path, number, told, "The file belongs to another task"))
            if document in seen:
                raise ResultsError(at_line(path, number, f"{document} is there already, on line {seen[document]}"))
            seen[document] = number
            kinds = kinds or found
            if found != kinds:
                odd = sorted(set(found.items()) ^ set(kinds.items()))[0][0]
                raise ResultsError(at_line(path, number, f"{document} has other figures than line 1, for example {odd}"))
            yield replace(sample, number=_number(raw), counts=_counts(raw))


def _counts(raw: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in the last of lmms-eval's `token_counts`; none where the backend told none."""
    found = raw.get("token_counts")
    last = found[-1] if isinstance(found, list) and found else None
    told = last.items() if isinstance(last, dict) else ()
    return {key: number for key, number in told if isinstance(number, (int, float)) and not isinstance(number, bool)}


def _number(raw: Mapping[str, Any]) -> int | None:
    """lmms-eval's `doc_id`."""
    found = raw.get("doc_id")
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _object(line: bytes) -> dict[str, Any]:
    raw = json.loads(line.decode())
    if not isinstance(raw, dict):
        raise TypeError("no JSON object")
    return raw


def _is_unscored(raw: Mapping[str, Any]) -> bool:
    return "bypass" in raw and not any(kind.detail in raw for kind in TASK_KINDS)


def _documents(path: Path, identity: Mapping[str, Any], unscored: bool) -> Documents:
    if not unscored:
        raise ResultsError(
            f"{path} holds answers without scores, as --predict_only leaves them. "
            f"Score them with: finer results {path.parent} --rescore"
        )
    from finer_tasks.runs.unscored import documents_of

    return documents_of(identity)


def _unscored_sample(raw: Mapping[str, Any], documents: Documents) -> Sample:
    doc, readable = documents(raw["doc_id"])
    record = _record(doc)
    items = {} if readable else {"corrupt_images": {"value": 1.0, "concept_id": record["concept_id"]}}
    outputs, question = tuple(map(well_formed, _outputs(raw["filtered_resps"]))), raw.get("input")
    return Sample(record, read_reply(outputs[-1]).answer, items, outputs, question if isinstance(question, str) else "")


def _sample(raw: Mapping[str, Any], line: bytes) -> tuple[Sample, str | None]:
    """A line of a samples file, and the level it was scored at where it tells."""
    kind = kind_of(raw)
    detail = raw[kind.detail]
    if not isinstance(detail, dict) or not isinstance(detail["record"], dict):
        raise TypeError("a figure or its record is no JSON object")
    record = _record(detail["record"])
    for key in {"reason", "concept"} & set(detail):
        _texts(key, [detail[key]])
    if detail.get("specificity", 0) not in range(len(LEVELS) + 1):
        raise ValueError(f"specificity is {str(detail['specificity'])[:40]}")
    items = {name: value for name, value in raw.items() if isinstance(value, dict) and "concept_id" in value}
    for key in kind.texts:
        _texts(key, detail[key], some=False)
    if kind is CLOSED:
        _check_closed(items)
        return Sample(record, _chosen(detail), items, (), str(raw.get("input") or "")), detail.get("level")
    if kind is YES_NO:
        _check_yesno(items)
    elif kind is OPEN and not all(isinstance(items[name].get("missing", False), bool) for name in _REFUSALS & items.keys()):
        raise TypeError("whether the right name is missing is neither true nor false")
    for name in {DETAIL, *LIKELIHOODS} & items.keys():
        offered_in(items[name])
    if kind is OPTIONS_BY_LIKELIHOOD:
        answer = "" if detail["chosen"] is None else str(detail["options"][detail["chosen"]])
        return Sample(record, answer, items, (), str(raw.get("input") or "")), detail.get("level")
    outputs = tuple(_texts("rounds", detail["rounds"])) if "rounds" in detail else _outputs(raw["filtered_resps"])
    asked = raw.get("input")
    question = asked if isinstance(asked, str) else ""
    if b"\\ud" in line.lower():  # half of a character in an answer is no reason to refuse a run
        outputs, question = tuple(map(well_formed, outputs)), well_formed(question)
    return Sample(record, read_reply(outputs[-1]).answer, items, outputs, question), detail.get("level")


def _chosen(detail: Mapping[str, Any]) -> str:
    """The concept that a closed set chose; empty where there is no answer."""
    return str(detail["top"][0][0]) if "top" in detail else ""


def _check_closed(items: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises what cannot be true of a document in a closed set, by any of its scores."""
    for kind in KINDS:
        names = {figure: f"closed_{figure}_{kind}" for figure in FIGURES}
        if not items.keys() & names.values():
            continue
        if missing := sorted(names.values() - items.keys()):
            raise KeyError(missing[0])
        top, confidence = items[names["top1"]].get("top"), items[names["ece"]].get("confidence")
        if (top is None) != (confidence is None) or (top is None) != ("score" not in items[names["rank"]]):
            raise ValueError(f"the first concepts, rank and confidence by {kind} are not all there")
        if top is None:
            continue
        named = [one[0] if isinstance(one, list) and one else None for one in top] if isinstance(top, list) else []
        if not named or not all(isinstance(concept, str) for concept in named):
            raise TypeError(f"{names['top1']}: top is no list of concepts with their scores")
        if isinstance(confidence, bool) or not isinstance(confidence, (int, float)) or not is_possible("", confidence):
            raise ValueError(f"{names['ece']}: the confidence is {str(confidence)[:40]}")


def _check_yesno(items: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises what cannot be true of a document that was asked for yes or no."""
    detail = items[YES_NO.detail]
    _texts("shares", [detail["shares"]])
    if len(detail["claims"]) != 2:
        raise ValueError(f"{len(detail['claims'])} claims where two were made")
    said = _texts("said", items.get("yesno_dprime", detail)["said"], some=False)
    if len(said) > 2 or not {"yes", "no", "neither"}.issuperset(said):
        raise ValueError(f"said is {str(said)[:40]}")


def _record(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields of a record, checked."""
    record = {key: raw[key] for key in RECORD_FIELDS if key in raw}
    for key in ("id", "superordinate", "concept_id"):
        _texts(f"record.{key}", [record[key]])
    for key in ("coarse", "fine"):
        _texts(f"record.{key}", record[key])
    return record


def _texts(name: str, value: Any, some: bool = True) -> list[str]:
    if not isinstance(value, list) or (some and not value) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{name} is no text, or no list of texts")
    return value


def _checked_kinds(sample: Sample) -> dict[str, str]:
    """Whether each figure is a score or a value; raises KeyError or ValueError where one is missing or out of its range."""
    if missing := sorted(kind_of(sample.items).figures - set(sample.items)):
        raise KeyError(missing[0])
    kinds = {}
    for name, item in sample.items.items():
        kind = "score" if "score" in item else "value"
        if name not in _OPTIONAL:
            kinds[name] = kind
        number = item.get(kind)
        if number is None and name in _OPTIONAL:
            continue
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not is_possible(name, number):
            raise ValueError(f"{sample.record['id']}: the score {name} is {str(number)[:40]}")
        if item["concept_id"] != sample.record["concept_id"]:
            raise ValueError(f"{sample.record['id']}: {name} is of concept {item['concept_id']!r}")
    return kinds


def is_possible(name: str, score: float) -> bool:
    """Whether a figure can have this value; NaN is none."""
    return -_ROUNDING <= score <= _HIGHEST.get(name, 1.0) + _ROUNDING


def _outputs(logged: Any) -> tuple[str, ...]:
    return tuple(rounds_of(logged if isinstance(logged, list) else [logged]))
