"""What one dataset gives to a mixture: the images chosen of its train split, and what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from finer_tasks.attributes.knowledge import Knowledge, load_knowledge
from finer_tasks.datasets.duplicates import near_tests
from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import dataset_of
from finer_tasks.datasets.registry import DATASETS
from finer_tasks.datasets.taxonomy import Taxonomy, load_taxonomy
from finer_tasks.errors import NotPreparedError
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.decoding import Readable
from finer_tasks.training.mixture.recipe import DatasetShare, MixtureRecipe
from finer_tasks.training.mixture.selection import Candidates, select


@dataclass
class Part:
    """One dataset of the mixture: its train table, the images chosen, and what was left out."""

    prepared: Prepared
    table: Any
    taxonomy: Taxonomy
    knowledge: Knowledge
    chosen: np.ndarray
    left_out: dict[str, int] = field(default_factory=dict)


def read_part(recipe: MixtureRecipe, name: str, unchecked: dict[str, str]) -> Part:
    """What a dataset gives to the mixture; raises MixtureError where that is nothing, or an image cannot be decoded.

    Datasets whose test images could not be compared with are added to `unchecked`, with the reason.
    """
    prepared = ensure_prepared(name)
    prepared.check("train")
    knowledge = load_knowledge(name)
    table = prepared.tables()["train"]
    concepts = np.array(table["concept_id"][:], dtype=object)
    superordinates = np.array(table["superordinate"][:], dtype=object)
    told = {key for key, entry in knowledge.concepts.items() if entry.required}
    reasons = {
        "held-out superordinate": np.isin(superordinates, list(recipe.held_out.superordinates)),
        "held-out concept": np.isin(concepts, _held_out(recipe, name, prepared)),
        "no attributes of the concept": ~np.isin(concepts, list(told)),
        "near-duplicate of a test image": _near_duplicates(recipe, prepared, len(table), unchecked),
    }
    allowed = np.ones(len(table), dtype=bool)
    left_out = {}
    for reason, mask in reasons.items():
        left_out[reason] = int((mask & allowed).sum())
        allowed &= ~mask
    _require_superordinates(recipe, superordinates, name)
    codes, groups = (np.unique(column.astype(str), return_inverse=True)[1] for column in (concepts, superordinates))
    candidates = Candidates(codes, groups, allowed)
    chosen, broken = _readable(recipe, name, candidates, lambda index: published_image(prepared, table[index]))
    left_out["image that cannot be decoded"] = broken
    left_out["over a cap"] = int(allowed.sum()) - len(chosen)
    if not len(chosen):
        raise MixtureError(f"nothing is left of {name}: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n))
    return Part(prepared, table, load_taxonomy(name), knowledge, chosen, left_out)


def _held_out(recipe: MixtureRecipe, name: str, prepared: Prepared) -> list[str]:
    """Ids of the dataset's held-out concepts; raises MixtureError for one that it does not have."""
    held = [key.partition("/")[2] for key in recipe.held_out.concepts if dataset_of(key) == name]
    if unknown := set(held) - {concept.concept_id for concept in prepared.concepts()}:
        raise MixtureError(f"held-out concept {min(unknown)!r} is none of {name}")
    return held


def _readable(
    recipe: MixtureRecipe, name: str, candidates: Candidates, open_image: Callable[[int], Any]
) -> tuple[np.ndarray, int]:
    """The images to take, all of which can be decoded, and how many cannot, which are taken from the candidates."""
    order, readable, found = _order(name), Readable(open_image), 0
    while True:
        chosen = select(candidates, recipe.datasets[name] or DatasetShare(), (recipe.seed, order))
        problems = {
            index: text for index, text in zip(chosen.tolist(), readable.problems(chosen.tolist()), strict=True) if text
        }
        if problems and not recipe.drop_broken:
            raise MixtureError(
                f"{len(problems)} images of {name} cannot be decoded, the first being {next(iter(problems.values()))}. "
                "Restore them, or leave them out and count them with --drop-broken"
            )
        if not problems:
            return chosen, found
        found += len(problems)
        candidates.allowed[list(problems)] = False


def _order(dataset: str) -> int:
    """What the seed of a dataset's choice is told apart by, whatever other datasets the user has."""
    if dataset in DATASETS:
        return sorted(DATASETS).index(dataset)
    return int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:4]) | 1 << 32


def _require_superordinates(recipe: MixtureRecipe, superordinates: np.ndarray, name: str) -> None:
    there = set(superordinates)
    if len(recipe.datasets) == 1 and not set(recipe.held_out.superordinates) <= there:
        wrong = sorted(set(recipe.held_out.superordinates) - there)[0]
        raise MixtureError(f"held-out superordinate {wrong!r} is none of {name}; it has {', '.join(sorted(there))}")


def _near_duplicates(recipe: MixtureRecipe, prepared: Prepared, size: int, unchecked: dict[str, str]) -> np.ndarray:
    """Train images too close to a test image of any dataset that is in the mixture or held out."""
    if recipe.near_duplicates == "ignore":
        return np.zeros(size, dtype=bool)
    others = []
    for name in dict.fromkeys((*recipe.datasets, *recipe.held_out.datasets)):
        try:
            other = ensure_prepared(name)
        except NotPreparedError:
            unchecked[name] = "not prepared"
            continue
        if "test" in other.manifest.splits:
            others.append(other)
        else:
            unchecked[name] = "prepared without its test split"
    return near_tests(prepared, others, recipe.near_duplicate_bits)


def fetch(part: Part, indices: np.ndarray) -> Iterator[Mapping[str, Any]]:
    """Rows of a part's table in the order of the indices, read at once."""
    if not len(indices):
        return iter(())
    columns = part.table[indices.tolist()]
    names = ("id", "image", "superordinate", "coarse", "fine", "concept_id")
    return (dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True))
