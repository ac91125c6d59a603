"""`finer mixture build`: prepared datasets and attributes → conversations in the LLaVA format.

OUTPUT/conversations.jsonl   one conversation a line, in a random order fixed by the seed
OUTPUT/arrow/                the same as an Arrow dataset
OUTPUT/images/<dataset>      links to the image folders, so that OUTPUT/images is LLaVA's --image_folder
OUTPUT/card.json             counts, what was left out and why, seed, fingerprints, hash
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Value, load_from_disk
from datasets import List as ListOf
from tqdm import tqdm

import finer_tasks
from finer_tasks.attributes.knowledge import Knowledge, load_knowledge
from finer_tasks.datasets.prepare import ensure_mini
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.taxonomy import DATASETS, Taxonomy, load_taxonomy
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.conversations import make_entry
from finer_tasks.training.mixture.general import FOLDER as GENERAL
from finer_tasks.training.mixture.general import GeneralEntries
from finer_tasks.training.mixture.leakage import (
    NameSearch,
    concept_names,
    concepts_of,
    near_duplicates,
    perceptual_hashes,
)
from finer_tasks.training.mixture.recipe import DatasetShare, MixtureRecipe
from finer_tasks.training.mixture.selection import Candidates, select, spread
from finer_tasks.training.recipe import recipe_hash
from finer_tasks.writing import replacing

FEATURES = Features(
    {
        "id": Value("string"),
        "image": Value("string"),
        "source": Value("string"),
        "conversations": ListOf({"from": Value("string"), "value": Value("string")}),
    }
)
_CHUNK = 4096


@dataclass
class _Part:
    """One dataset of the mixture: its train table, the images chosen, and what was left out."""

    prepared: Prepared
    table: Any
    taxonomy: Taxonomy
    knowledge: Knowledge
    chosen: np.ndarray
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass
class _Account:
    """Running counts while conversations stream by."""

    by_source: Counter[str] = field(default_factory=Counter)
    by_template: Counter[str] = field(default_factory=Counter)
    by_concept: Counter[str] = field(default_factory=Counter)
    by_superordinate: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    content: Any = field(default_factory=hashlib.sha256)


def build_mixture(recipe: MixtureRecipe, output: Path, overwrite: bool = False) -> dict[str, Any]:
    """Build the mixture and return its card; raises MixtureError, and leaves what was there on any error."""
    recipe.check(DATASETS)
    if output.exists() and not (overwrite and (output / "card.json").exists()):
        raise MixtureError(f"{output} exists; give another --output, or --overwrite to replace a mixture")
    with replacing(output) as temporary:
        (temporary / "images").mkdir(parents=True)
        parts = [_part(recipe, name) for name in recipe.datasets]
        general = GeneralEntries(recipe.general) if recipe.general else None
        account = _write_conversations(recipe, parts, general, temporary)
        _write_arrow(temporary)
        _link_images(recipe, parts, temporary / "images")
        card = _card(recipe, parts, general, account)
        (temporary / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def _part(recipe: MixtureRecipe, name: str) -> _Part:
    prepared = ensure_mini() if name == "mini" else load_prepared(name)
    prepared.check("train")
    knowledge = load_knowledge(name)
    table = load_from_disk(str(prepared.data))["train"]
    concepts = np.array(table["concept_id"][:], dtype=object)
    superordinates = np.array(table["superordinate"][:], dtype=object)
    told = {key for key, entry in knowledge.concepts.items() if entry.required}
    reasons = {
        "held-out superordinate": np.isin(superordinates, list(recipe.held_out.superordinates)),
        "no attributes of the concept": ~np.isin(concepts, list(told)),
        "near-duplicate of a test image": _near_duplicates(recipe, prepared, len(table)),
    }
    allowed = np.ones(len(table), dtype=bool)
    left_out = {}
    for reason, mask in reasons.items():
        left_out[reason] = int((mask & allowed).sum())
        allowed &= ~mask
    _require_superordinates(recipe, superordinates, name)
    codes, groups = (np.unique(column.astype(str), return_inverse=True)[1] for column in (concepts, superordinates))
    order = sorted(DATASETS).index(name)
    chosen = select(Candidates(codes, groups, allowed), recipe.datasets[name] or DatasetShare(), (recipe.seed, order))
    left_out["over a cap"] = int(allowed.sum()) - len(chosen)
    if not len(chosen):
        raise MixtureError(f"nothing is left of {name}: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n))
    return _Part(prepared, table, load_taxonomy(name), knowledge, chosen, left_out)


def _require_superordinates(recipe: MixtureRecipe, superordinates: np.ndarray, name: str) -> None:
    there = set(superordinates)
    if len(recipe.datasets) == 1 and not set(recipe.held_out.superordinates) <= there:
        wrong = sorted(set(recipe.held_out.superordinates) - there)[0]
        raise MixtureError(f"held-out superordinate {wrong!r} is none of {name}; it has {', '.join(sorted(there))}")


def _near_duplicates(recipe: MixtureRecipe, prepared: Prepared, size: int) -> np.ndarray:
    """Train images too close to a test image of the dataset itself or of a held-out one."""
    found = np.zeros(size, dtype=bool)
    if recipe.near_duplicates == "ignore":
        return found
    train = perceptual_hashes(prepared, "train")
    for name in (prepared.manifest.dataset, *recipe.held_out.datasets):
        other = prepared if name == prepared.manifest.dataset else load_prepared(name)
        if "test" in other.manifest.splits:
            found |= near_duplicates(train, perceptual_hashes(other, "test"), recipe.near_duplicate_bits)
    return found


def _write_conversations(recipe: MixtureRecipe, parts: list[_Part], general: GeneralEntries | None, folder: Path) -> _Account:
    account = _Account()
    held_out = [concept for name in recipe.held_out.datasets for concept in concepts_of(name)]
    search = NameSearch(concept_names(held_out) | _names_below(recipe, parts))
    total = sum(len(part.chosen) for part in parts) + (len(general) if general else 0)
    with (folder / "conversations.jsonl").open("w", encoding="utf-8") as file:
        for row in tqdm(_rows(recipe, parts, general, account), total=total, desc="conversations", mininterval=1):
            if search.find("\n".join(turn["value"] for turn in row["conversations"])):
                account.named[row["source"]] += 1
                if recipe.held_out.shared_names == "drop":
                    continue
            line = json.dumps(row, ensure_ascii=False) + "\n"
            account.content.update(line.encode())
            account.by_source[row["source"]] += 1
            file.write(line)
    return account


def _names_below(recipe: MixtureRecipe, parts: list[_Part]) -> set[str]:
    """Names of the fine concepts of the held-out superordinates."""
    held = set(recipe.held_out.superordinates)
    return concept_names(concept for part in parts for concept in part.prepared.concepts() if concept.superordinate in held)


def _rows(
    recipe: MixtureRecipe, parts: list[_Part], general: GeneralEntries | None, account: _Account
) -> Iterator[dict[str, Any]]:
    """All conversations in one random order over all datasets; the order is the same for every style."""
    places = [np.stack([np.full(len(part.chosen), number), part.chosen], 1) for number, part in enumerate(parts)]
    if general is not None:
        rng = np.random.default_rng((recipe.seed, 1))
        wanted = min(len(general), recipe.general.samples or len(general)) if recipe.general else 0
        places.append(np.stack([np.full(wanted, len(parts)), rng.permutation(len(general))[:wanted]], 1))
    order = np.concatenate(places)
    order = order[np.random.default_rng((recipe.seed, 0)).permutation(len(order))]
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        docs = [_fetch(part, chunk[chunk[:, 0] == number, 1]) for number, part in enumerate(parts)]
        for number, index in chunk.tolist():
            if number == len(parts):
                row = general[index]  # type: ignore[index]
                yield row | {"image": f"{GENERAL}/{row['image']}" if row["image"] else ""}
                continue
            part, doc = parts[number], next(docs[number])
            entry = make_entry(recipe, doc, part.taxonomy, part.knowledge[doc["concept_id"]])
            account.by_template.update(entry.templates)
            account.by_concept[f"{part.prepared.manifest.dataset}/{doc['concept_id']}"] += 1
            account.by_superordinate[doc["superordinate"]] += 1
            yield dict(entry.row)


def _fetch(part: _Part, indices: np.ndarray) -> Iterator[Mapping[str, Any]]:
    """Rows of a part's table in the order of the indices, read at once."""
    if not len(indices):
        return iter(())
    columns = part.table[indices.tolist()]
    names = ("id", "image", "superordinate", "coarse", "fine", "concept_id")
    return (dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True))


def _write_arrow(folder: Path) -> None:
    rows = partial(_lines, folder / "conversations.jsonl")
    made = Dataset.from_generator(rows, features=FEATURES, cache_dir=str(folder / "cache"))
    made.save_to_disk(str(folder / "arrow"))
    del made
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def _link_images(recipe: MixtureRecipe, parts: list[_Part], folder: Path) -> None:
    for part in parts:
        target = folder / part.prepared.manifest.dataset
        if part.prepared.manifest.embedded:
            for index in part.chosen.tolist():
                doc = part.table[index]
                path = target / doc["image"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(doc["embedded_image"]["bytes"])
        else:
            target.symlink_to(Path(part.prepared.manifest.root).resolve(), target_is_directory=True)
    if recipe.general:
        (folder / GENERAL).symlink_to(recipe.general.images.resolve(), target_is_directory=True)


def _card(recipe: MixtureRecipe, parts: list[_Part], general: GeneralEntries | None, account: _Account) -> dict[str, Any]:
    values = asdict(recipe)
    return {
        "name": recipe.name,
        "hash": account.content.hexdigest(),
        "conversations": sum(account.by_source.values()),
        "counts": {
            "source": dict(sorted(account.by_source.items())),
            "superordinate": dict(sorted(account.by_superordinate.items())),
            "images_per_concept": spread(account.by_concept),
            "concepts": len(account.by_concept),
            "template": dict(sorted(account.by_template.items())),
        },
        "left_out": {part.prepared.manifest.dataset: part.left_out for part in parts}
        | ({GENERAL: {"missing image": general.missing}} if general is not None else {}),
        "names_a_held_out_concept": {"what": recipe.held_out.shared_names, **dict(account.named)},
        "data": {
            part.prepared.manifest.dataset: {
                "source": part.prepared.manifest.source,
                "fingerprint": part.prepared.manifest.fingerprint,
                "attributes": part.knowledge.fingerprint,
                "partial": part.prepared.manifest.partial,
            }
            for part in parts
        },
        "recipe": json.loads(json.dumps(values, default=str)),
        "recipe_hash": recipe_hash(values),
        "finer_tasks": finer_tasks.__version__,
    }
