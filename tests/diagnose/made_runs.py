"""Runs and a probe of four concepts in two groups, as they come from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finer_tasks.probe.results import Figure, LevelSummary, Point, Prediction, Summary, write_probe
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from finer_tasks.statistics.bootstrap import Estimate

NAMES = {"a": "Red Crow", "b": "Blue Crow", "c": "Red Gull", "d": "Blue Gull"}
EACH = 6
IDS = [f"mini/test/{concept}{number}" for concept in NAMES for number in range(EACH)]
IDENTITY = {
    "dataset": "mini",
    "level": "fine",
    "parent": "gold",
    "prompt_set": "p",
    "prompt_hash": "h",
    "data_fingerprint": "f",
    "data_source": "s",
    "scoring": "1",
}
MADE = {"prompt_hash": "h", "data": {"test": "f"}}


def concept_of(identity: str) -> str:
    return identity.rpartition("/")[2][0]


def record(identity: str) -> dict[str, Any]:
    concept = concept_of(identity)
    coarse = NAMES[concept].split()[1]
    return {"id": identity, "superordinate": "Bird", "coarse": [coarse], "fine": [NAMES[concept]], "concept_id": concept}


def naming(variant: str, answers: Mapping[str, str] = {}, **changes: Any) -> TaskRun:
    """Every document is named rightly, but for those of concepts with another answer."""
    samples = []
    for identity in IDS:
        concept = concept_of(identity)
        answer = answers.get(concept, NAMES[concept])
        items = {"em": {"score": float(NAMES[concept] in answer), "concept_id": concept}}
        samples.append(Sample(record(identity), answer, items))
    suffix = "" if variant == "direct" else f"_{variant}"
    return TaskRun(f"finer_mini_fine{suffix}", IDENTITY | {"variant": variant} | changes, {}, tuple(samples))


def closed(kinds: Sequence[str] = ("sum", "norm"), **changes: Any) -> TaskRun:
    samples = [
        Sample(record(i), "", {f"closed_top1_{kind}": {"score": 1.0, "top": [[concept_of(i), -1.0]]} for kind in kinds})
        for i in IDS
    ]
    return TaskRun("finer_mini_fine_closed", IDENTITY | {"variant": "closed"} | changes, {}, tuple(samples))


def attributes(score: float = 0.5) -> TaskRun:
    samples = tuple(Sample(record(i), "", {"attr_f1": {"score": score}}) for i in IDS)
    return TaskRun("finer_mini_attributes", IDENTITY | {"variant": "attributes"}, {}, samples)


def run(*tasks: TaskRun) -> Run:
    return Run(Path("x"), "m", tasks)


def point(name: str, order: int, used: bool = False) -> Point:
    place, pooling = name.split(".")[0], name.split(".")[-1]
    return Point(name=name, place=place, pooling=pooling, width=8, order=order, used=used)  # type: ignore[arg-type]


POINTS = {
    "encoder.1.mean": (0, False, 1.0), "encoder.used.mean": (1, True, 0.7), "encoder.used.cls": (1, True, 0.9),
    "projector.mean": (2, True, 0.6), "language.1.last": (3, False, 0.8), "language.2.last": (4, False, 0.7),
    "language.2.mean": (4, False, 0.9),
}  # fmt: skip


def probe(folder: Path, made: Mapping[str, Any] = MADE, ids: Sequence[str] = IDS, said: Mapping[str, str] = {}) -> Path:
    """A probe whose every point names every concept rightly; `said` replaces what is said of a concept."""
    figures, predictions = [], []
    for name, (_, _, top1) in POINTS.items():
        for control in ("", "shuffled", "equal_width"):
            estimate = Estimate(top1, top1, top1)
            figures.append(
                Figure(level="fine", point=name, probe="linear", control=control, top1=estimate, macro=estimate, width=8)
            )
            predictions += [
                Prediction(
                    id=i, concept_id=concept_of(i), level="fine", point=name, place=point(name, 0).place, probe="linear",
                    control=control, label=concept_of(i), rank=1,
                    predicted=said.get(concept_of(i), concept_of(i)) if control != "shuffled" else "a",
                )
                for i in ids
            ]  # fmt: skip
    summary = Summary(
        finer_version="0", dataset="mini", model="m", made=dict(made), settings={},
        points=tuple(point(name, order, used) for name, (order, used, _) in POINTS.items()),
        levels={"fine": LevelSummary(labels=4, train=8, test=len(ids), concepts=4, chance=0.25)}, figures=tuple(figures),
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    write_probe(folder, summary, predictions)
    return folder
