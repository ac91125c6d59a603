"""Which documents a probe is fitted on and tested on, and their labels at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import LEVELS, SPLITS, labels_at
from finer_tasks.probe.results import Level, ProbeError
from finer_tasks.probe.store import Rows
from finer_tasks.statistics.clusters import Integers

# One to fit, one to choose the weight decay.
FEWEST = 2


@dataclass(frozen=True)
class Part:
    """The documents of one split: their rows in its table, and what the records say of them."""

    table: Any
    rows: Rows

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        columns = ["id", "concept_id", "superordinate", "coarse"]
        return list(self.table.select_columns(columns).select(self.rows.tolist()))

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    @property
    def concepts(self) -> list[str]:
        return [record["concept_id"] for record in self.records]

    def labels(self, level: str) -> list[str]:
        """The label of each document; at the fine level its concept."""
        return self.concepts if level == "fine" else [labels_at(record, level)[0] for record in self.records]


@dataclass(frozen=True)
class Documents:
    """What is fitted on and tested on."""

    train: Part
    test: Part

    def part(self, split: str) -> Part:
        return self.train if split == "train" else self.test


@dataclass(frozen=True)
class Labels:
    """The labels of a level: names in order, and the number of each document's."""

    names: tuple[str, ...]
    train: Integers
    test: Integers


def choose_documents(prepared: Prepared, per_concept: int | None, limit: int | None, seed: int) -> Documents:
    """The first `limit` documents of test, as tasks take them, and `per_concept` of train drawn for each concept, or all.

    Raises NotPreparedError where a split is not there, and ProbeError where a concept has too few images.
    """
    if per_concept is not None and per_concept < FEWEST:
        raise ProbeError(
            f"--per-concept {per_concept}: give {FEWEST} at least, one image to fit and one to choose the weight decay"
        )
    for split in SPLITS:
        prepared.check(split)
    tables = prepared.tables()
    test = Part(tables["test"], np.arange(min(limit or len(tables["test"]), len(tables["test"]))))
    rows = _drawn(tables["train"]["concept_id"], set(test.concepts), per_concept, seed, prepared.manifest.dataset)
    return Documents(Part(tables["train"], rows), test)


def _drawn(concepts: Sequence[str], tested: set[str], per_concept: int | None, seed: int, dataset: str) -> Rows:
    by_concept: dict[str, list[int]] = {concept: [] for concept in sorted(tested)}
    for row, concept in enumerate(concepts):
        by_concept.setdefault(concept, []).append(row)
    wanted = per_concept or FEWEST
    few = [concept for concept, rows in by_concept.items() if len(rows) < wanted]
    if few:
        raise ProbeError(
            f"{len(few)} of {len(by_concept)} concepts of {dataset} have fewer than {wanted} images in train, for example "
            f"{few[0]} with {len(by_concept[few[0]])}. " + (_LESS if wanted > FEWEST else _MORE)
        )
    generator = np.random.default_rng(seed)
    kept = [generator.permutation(rows)[:per_concept] for _, rows in sorted(by_concept.items())]
    return np.sort(np.concatenate(kept)).astype(np.int64)


_LESS = "Give a smaller --per-concept"
_MORE = "Prepare the whole train split: a probe needs one image of a concept to fit and one to choose its weight decay"


def told_labels(documents: Documents, levels: Sequence[Level]) -> dict[Level, Labels]:
    """The labels of each level that has several, numbered by the names of both parts; raises ProbeError if none has."""
    found = {level: _labels(documents, level) for level in levels}
    told = {level: labels for level, labels in found.items() if len(labels.names) > 1}
    if not told:
        raise ProbeError(
            f"these documents have one label at level {', '.join(levels)}; nothing can be told apart. Give other --levels"
        )
    return told


def _labels(documents: Documents, level: Level) -> Labels:
    train, test = documents.train.labels(level), documents.test.labels(level)
    names = tuple(sorted({*train, *test}))
    number: Mapping[str, int] = {name: index for index, name in enumerate(names)}
    return Labels(names, np.array([number[name] for name in train]), np.array([number[name] for name in test]))


def chosen_levels(names: Sequence[str]) -> tuple[Level, ...]:
    """The named levels in their order, all without any; raises ProbeError for one that there is not."""
    for name in names:
        if name not in LEVELS:
            raise ProbeError(f"--levels {name}: no level. Give {', '.join(LEVELS)}")
    return tuple(cast(Level, level) for level in LEVELS if level in (names or LEVELS))
