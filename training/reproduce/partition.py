"""Which concepts each group of a plan holds out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import Concept, concept_key
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.reproduce.plan import HeldOutPart, Plan

_SEED = 0


@dataclass(frozen=True)
class Unit:
    """What is held out together, such as a coarse label, with the keys dataset/concept_id of its concepts."""

    name: str
    concepts: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Units that one part of the experiment holds out."""

    name: str
    units: tuple[str, ...]
    concepts: tuple[str, ...]


def groups_of(plan: Plan) -> tuple[Group, ...]:
    """The groups of a plan, over the concepts that its datasets have images of in both splits; raises TrainingError."""
    units = units_of(plan)
    if plan.held_out.named:
        groups = _named(plan.held_out, units)
    else:
        groups = _divided(units, plan.held_out.groups or len(units), apart=plan.held_out.groups is None)
    everything = sum(len(unit.concepts) for unit in units)
    if whole := next((group for group in groups if len(group.concepts) == everything), None):
        raise TrainingError(f"held_out: the group {whole.name} holds out all {everything} concepts; nothing is left to tune on")
    return groups


def units_of(plan: Plan) -> list[Unit]:
    """What can be held out, in the order of the datasets and names."""
    found: dict[str, list[str]] = {}
    for dataset in plan.datasets:
        for concept in concepts_with_images(dataset):
            found.setdefault(_unit(plan, dataset, concept), []).append(concept_key(dataset, concept.concept_id))
    return [Unit(name, tuple(keys)) for name, keys in found.items()]


def concepts_with_images(dataset: str) -> list[Concept]:
    """The concepts of a prepared dataset that have images to learn from and to be tested on, by id."""
    prepared = ensure_prepared(dataset)
    for split in ("train", "test"):
        prepared.check(split)
    return list(_with_images(prepared))


@cache
def _with_images(prepared: Prepared) -> tuple[Concept, ...]:
    tables = prepared.tables()
    shown = set(tables["train"].unique("concept_id")) & set(tables["test"].unique("concept_id"))
    return tuple(concept for concept in prepared.concepts() if concept.concept_id in shown)


def _unit(plan: Plan, dataset: str, concept: Concept) -> str:
    name = {
        "concept": concept.concept_id,
        "coarse": concept.coarse[0],
        "superordinate": concept.superordinate,
        "dataset": dataset,
    }[plan.held_out.by]
    return name if len(plan.datasets) == 1 or plan.held_out.by == "dataset" else f"{dataset}/{name}"


def _named(held_out: HeldOutPart, units: Sequence[Unit]) -> tuple[Group, ...]:
    known = {unit.name: unit for unit in units}
    seen: set[str] = set()
    for name in (name for group in held_out.named for name in group):
        if name not in known:
            some = ", ".join(list(known)[:5])
            raise TrainingError(f"held_out.named: {name!r} is no {held_out.by} of the plan's data; there are {some}, …")
        if name in seen:
            raise TrainingError(f"held_out.named: {name!r} is in two groups")
        seen.add(name)
    return tuple(_group(str(number), [known[name] for name in group]) for number, group in enumerate(held_out.named))


def _divided(units: Sequence[Unit], count: int, apart: bool) -> tuple[Group, ...]:
    """Each unit a group of its own, or all of them spread at random, the largest first, each to the smallest group so far."""
    if count > len(units):
        raise TrainingError(f"held_out.groups={count}: there are only {len(units)} to divide")
    if apart:
        return tuple(_group(unit.name, [unit]) for unit in units)
    order = list(units)
    random.Random(_SEED).shuffle(order)
    parts: list[list[Unit]] = [[] for _ in range(count)]
    for unit in sorted(order, key=lambda unit: -len(unit.concepts)):
        min(parts, key=lambda part: sum(len(other.concepts) for other in part)).append(unit)
    return tuple(_group(str(number), part) for number, part in enumerate(parts))


def _group(name: str, units: Sequence[Unit]) -> Group:
    return Group(name, tuple(unit.name for unit in units), tuple(key for unit in units for key in unit.concepts))
