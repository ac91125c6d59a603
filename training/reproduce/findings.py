"""What the evaluations of a reproduction show: accuracies with intervals, and differences that bear on the paper's claims."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finer_tasks.errors import ResultsError
from finer_tasks.runs.reading import read_run
from finer_tasks.statistics.bootstrap import Bootstrap, Estimate
from finer_tasks.statistics.clusters import Clusters
from finer_tasks.training.reproduce.plan import Plan

MODELS = {"base": "before tuning", "direct": "direct mixture", "finer": "FINER mixture"}
TASKS = {
    "finer_mini_superordinate": "superordinate",
    "finer_mini_coarse": "coarse",
    "finer_mini_fine": "fine",
    "finer_mini_fine_attrseek": "fine, AttrSeek",
    "finer_mini_fine_text": "fine, from text",
}
HELD_IN, HELD_OUT = "held-in", "held-out"


@dataclass(frozen=True)
class Figure:
    """Exact match of one model and task: mean over documents and seeds, interval over concepts, and the mean of each seed."""

    model: str
    task: str
    part: str
    documents: int
    estimate: Estimate
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as a difference that is above zero if it holds here, and what was found."""

    claim: str
    measured: str
    difference: Estimate

    @property
    def verdict(self) -> str:
        """By the interval: wholly above zero, wholly below, or across."""
        if self.difference.low > 0:
            return "reproduced"
        return "opposite" if self.difference.high < 0 else "not shown"


class Scores:
    """Exact match by model, task and document, a row a seed."""

    def __init__(self, plan: Plan, output: Path) -> None:
        names = {"base": ["base"]} | {s: [f"{s}-{seed}" for seed in plan.tuning_seeds] for s in ("direct", "finer")}
        self.tables: dict[tuple[str, str], np.ndarray] = {}
        self.records: dict[str, Mapping[str, object]] = {}
        for model, folders in names.items():
            rows: dict[str, list[list[float]]] = {}
            for folder in folders:
                for task in read_run(output / "evaluations" / folder).tasks:
                    self._check(task.name, [str(sample.record["id"]) for sample in task.samples])
                    self.records |= {str(sample.record["id"]): sample.record for sample in task.samples}
                    rows.setdefault(task.name, []).append([float(sample.items["em"]["score"]) for sample in task.samples])
            self.tables |= {(model, task): np.array(values) for task, values in rows.items()}
        documents = [self.records[identity] for identity in self.order]
        self.held_out = np.array([document["superordinate"] == plan.held_out for document in documents])
        self.concepts = np.array([str(document["concept_id"]) for document in documents])

    def _check(self, task: str, ids: list[str]) -> None:
        self.order = getattr(self, "order", ids)
        if ids != self.order:
            raise ResultsError(
                f"{task}: its documents are not those of the other evaluations; delete that evaluation and run again"
            )

    def part(self, name: str) -> np.ndarray:
        """Which documents are held in or out; all of them under any other name."""
        return {HELD_IN: ~self.held_out, HELD_OUT: self.held_out}.get(name, np.ones_like(self.held_out))

    def estimate(self, values: np.ndarray, part: str, seed: int) -> Estimate:
        """Of a value a document, over the documents of a part."""
        chosen = self.part(part)
        if not chosen.any():
            return Estimate(float("nan"), float("nan"), float("nan"))
        return Bootstrap(Clusters.of(self.concepts[chosen]), seed).mean(values[chosen])


def figures(scores: Scores, seed: int) -> list[Figure]:
    """Every accuracy, by model, task and part."""
    found = []
    for model in MODELS:
        for task in TASKS:
            for part in (HELD_IN, HELD_OUT):
                table = scores.tables[model, task]
                chosen = scores.part(part)
                by_seed = tuple(float(row[chosen].mean()) for row in table) if chosen.any() else ()
                found.append(Figure(model, task, part, int(chosen.sum()), scores.estimate(table.mean(0), part, seed), by_seed))
    return found


def claims(scores: Scores, probes: Mapping[str, Sequence[Any]], plan: Plan) -> list[Claim]:
    """The paper's claims (Kim & Ji 2024, sections 3 to 5) that the miniature can speak to."""
    mean: dict[tuple[str, str], np.ndarray] = {key: table.mean(0) for key, table in scores.tables.items()}

    def base(task: str) -> np.ndarray:
        return mean["base", f"finer_mini_{task}"]

    def tuned(style: str, task: str) -> np.ndarray:
        return mean[style, f"finer_mini_{task}"]

    def claim(text: str, measured: str, values: np.ndarray, part: str = "all") -> Claim:
        return Claim(text, measured, scores.estimate(values, part, plan.seed))

    found = [
        claim("the coarse concept is named less often than the superordinate", "superordinate - coarse",
              base("superordinate") - base("coarse")),
        claim("the fine concept is named less often than the coarse one", "coarse - fine", base("coarse") - base("fine")),
        claim("the model names from text what it does not name from the image", "fine from text - fine",
              base("fine_text") - base("fine")),
        claim("asking for the attributes first helps without tuning", "AttrSeek - direct question",
              base("fine_attrseek") - base("fine")),
        _probe_claim(probes, plan),
    ]  # fmt: skip
    for part in (HELD_IN, HELD_OUT):
        for task, way in (("fine", "direct question"), ("fine_attrseek", "AttrSeek")):
            found += [
                claim(f"tuning on the FINER mixture helps on {part} concepts", f"{way}, FINER - before tuning",
                      tuned("finer", task) - base(task), part),
                claim(f"the FINER mixture beats the direct one on {part} concepts", f"{way}, FINER - direct",
                      tuned("finer", task) - tuned("direct", task), part),
            ]  # fmt: skip
    return found


def _probe_claim(probes: Mapping[str, Sequence[Any]], plan: Plan) -> Claim:
    lost = np.array(probes["vision encoder"], float) - np.array(probes["projector"], float)
    return Claim(
        "detail is lost in the projector",
        "linear probe after the vision encoder - after the projector",
        Bootstrap(Clusters.of(probes["concepts"]), plan.seed).mean(lost),
    )


def read_probes(output: Path) -> dict[str, list[Any]]:
    """What `make_base` measured."""
    found: dict[str, list[Any]] = json.loads((output / "base/probe.json").read_text(encoding="utf-8"))
    return found
