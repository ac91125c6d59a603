"""Fitting every probe at every point with the same documents and the same number of fits, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from finer_tasks.probe import attention, fitting
from finer_tasks.probe.controls import HELD_OUT, held_out, projection, shuffled
from finer_tasks.probe.documents import Documents, Labels
from finer_tasks.probe.extraction import Extracted
from finer_tasks.probe.results import Control, Figure, Kind, Level, LevelSummary, Point, Prediction, ProbeError
from finer_tasks.probe.store import Rows, Values
from finer_tasks.statistics.bootstrap import Bootstrap
from finer_tasks.statistics.clusters import Clusters, Integers

KINDS: tuple[Kind, ...] = ("linear", "mlp", "neighbour")
CONTROLS: tuple[Control, ...] = ("", "shuffled", "equal_width")


@dataclass(frozen=True)
class Outcome:
    """What one probe says of the test documents: the number of the label it names, and the rank of the right one."""

    level: Level
    point: Point
    probe: Kind
    control: Control
    width: int
    predicted: Integers
    rank: Integers
    weight_decay: float | None = None


@dataclass(frozen=True)
class Bench:
    """Features, documents and labels that all probes share."""

    extracted: Extracted
    documents: Documents
    labels: Mapping[Level, Labels]
    kinds: Sequence[Kind]
    seed: int

    @cached_property
    def held(self) -> torch.Tensor:
        """The documents of train on which the weight decay is chosen, the same at every point."""
        return torch.from_numpy(held_out(self.documents.train.concepts, self.seed))

    @property
    def narrowest(self) -> int:
        """The width to which every point is brought for a comparison at equal width."""
        return min(point.width for point in self.extracted.points)

    @property
    def settings(self) -> dict[str, Any]:
        """How probes are fitted, for the record."""
        return {
            "probes": list(self.kinds),
            "linear": {"fits": fitting.FITS, "held_out": HELD_OUT},
            "mlp": {"epochs": fitting.MLP_EPOCHS, "width": fitting.MLP_WIDTH},
            "attention": {"steps": attention.STEPS},
            "equal_width": self.narrowest,
            "seed": self.seed,
        }

    def outcomes(self) -> Iterator[Outcome]:
        """Every probe with every control, along the path."""
        for point in tqdm(self.extracted.points, desc="points", mininterval=1):
            yield from self._attended(point) if point.pooling == "attention" else self._pooled(point)

    def _pooled(self, point: Point) -> Iterator[Outcome]:
        train, test = (self.extracted.read(split, point.name, part.rows) for split, part in self._parts())
        plain = self._standardised(train, test)
        matrix = self._narrowing(point)
        narrow = plain if matrix is None else self._standardised(train @ matrix, test @ matrix)
        for level, labels in self.labels.items():
            for kind in self.kinds:
                found = self._fitted(kind, plain, labels.train, labels)
                yield (own := self._outcome(level, point, kind, "", point.width, labels, found))
                found = self._fitted(kind, plain, shuffled(labels.train, self.seed), labels)
                yield self._outcome(level, point, kind, "shuffled", point.width, labels, found)
                if matrix is None:
                    yield replace(own, control="equal_width")
                else:
                    found = self._fitted(kind, narrow, labels.train, labels)
                    yield self._outcome(level, point, kind, "equal_width", self.narrowest, labels, found)

    def _fitted(
        self, kind: Kind, features: tuple[torch.Tensor, torch.Tensor], train: Integers, labels: Labels
    ) -> tuple[torch.Tensor, float | None]:
        device = self.extracted.device
        fold = fitting.Fold(
            features[0], torch.from_numpy(train).to(device), self.held.to(device), features[1], len(labels.names)
        )
        if kind == "linear":
            return fitting.linear_scores(fold)
        return (fitting.mlp_scores(fold, self.seed) if kind == "mlp" else fitting.neighbour_scores(fold)), None

    def _attended(self, point: Point) -> Iterator[Outcome]:
        """Attention is learnt with a linear probe; the other kinds take features that are pooled already."""
        if "linear" not in self.kinds:
            return
        matrix = self._narrowing(point)
        for level, labels in self.labels.items():
            for control in CONTROLS:
                narrow = matrix if control == "equal_width" else None
                train = shuffled(labels.train, self.seed) if control == "shuffled" else labels.train
                scores = attention.attention_scores(
                    self._reading("train", point, narrow), self.documents.train.rows,
                    torch.from_numpy(train).to(self.extracted.device),
                    self._reading("test", point, narrow), self.documents.test.rows, len(labels.names), self.seed,
                )  # fmt: skip
                width = point.width if narrow is None else self.narrowest
                yield self._outcome(level, point, "linear", control, width, labels, (scores, None))

    def _reading(self, split: str, point: Point, matrix: Values | None) -> attention.Read:
        def read(rows: Rows) -> Values:
            values = self.extracted.read(split, point.name, rows)
            return values if matrix is None else values @ matrix

        return read

    def _parts(self) -> list[tuple[str, Any]]:
        return [("train", self.documents.train), ("test", self.documents.test)]

    def _narrowing(self, point: Point) -> Values | None:
        return None if point.width == self.narrowest else projection(point.width, self.narrowest, self.seed)

    def _standardised(self, train: Values, test: Values) -> tuple[torch.Tensor, torch.Tensor]:
        mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
        # A feature that is the same in all of train tells nothing, and would be blown up in test.
        scale = np.where(spread > 1e-6 * (1 + np.abs(mean)), 1 / np.maximum(spread, 1e-30), 0)
        device = self.extracted.device
        scaled = [torch.from_numpy(((part - mean) * scale).astype(np.float32)).to(device) for part in (train, test)]
        return scaled[0], scaled[1]

    def _outcome(
        self, level: Level, point: Point, kind: Kind, control: Control, width: int, labels: Labels,
        found: tuple[torch.Tensor, float | None],
    ) -> Outcome:  # fmt: skip
        scores = found[0].cpu().numpy()
        right = scores[np.arange(len(scores)), labels.test][:, None]
        earlier = np.arange(scores.shape[1]) < labels.test[:, None]
        rank = 1 + ((scores > right) | ((scores == right) & earlier)).sum(axis=1)
        return Outcome(level, point, kind, control, width, scores.argmax(axis=1), rank, found[1])


def chosen_kinds(names: Sequence[str]) -> tuple[Kind, ...]:
    """The named probes in their order, all without any; raises ProbeError for one that there is not."""
    for name in names:
        if name not in KINDS:
            raise ProbeError(f"--probes {name}: no probe. Give {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in (names or KINDS))


def figures_of(bench: Bench, outcomes: Iterable[Outcome]) -> list[Figure]:
    """Accuracy of each outcome, with intervals over concepts."""
    concepts = Clusters.of(bench.documents.test.concepts)
    by_document, by_concept = Bootstrap(concepts, bench.seed), Bootstrap(Clusters.of(concepts.names), bench.seed)
    figures = []
    for one in outcomes:
        right = (one.rank == 1).astype(np.float64)
        figures.append(
            Figure(
                level=one.level, point=one.point.name, probe=one.probe, control=one.control, width=one.width,
                top1=by_document.mean(right), macro=by_concept.mean(concepts.means(right)), weight_decay=one.weight_decay,
            )
        )  # fmt: skip
    return figures


def level_summaries(bench: Bench) -> dict[Level, LevelSummary]:
    """What each level has, and what naming the most frequent label for all gives."""
    found = {}
    for level, labels in bench.labels.items():
        most = np.bincount(labels.test).max()
        found[level] = LevelSummary(
            labels=len(labels.names), train=len(labels.train), test=len(labels.test),
            concepts=len(set(bench.documents.test.concepts)), chance=float(most / len(labels.test)),
        )  # fmt: skip
    return found


def predictions_of(bench: Bench, outcomes: Iterable[Outcome]) -> Iterator[Prediction]:
    """A line for each outcome and document."""
    test = bench.documents.test
    for one in outcomes:
        labels = bench.labels[one.level]
        for place, (identity, concept) in enumerate(zip(test.ids, test.concepts, strict=True)):
            yield Prediction(
                id=identity, concept_id=concept, level=one.level, point=one.point.name, place=one.point.place, probe=one.probe,
                control=one.control, label=labels.names[labels.test[place]], predicted=labels.names[one.predicted[place]],
                rank=int(one.rank[place]),
            )  # fmt: skip
