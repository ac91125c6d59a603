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
from datasets import Dataset, Features, Value
from datasets import List as ListOf
from datasets.exceptions import DatasetGenerationError
from tqdm import tqdm

import finer_tasks
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.datasets.record import concept_key
from finer_tasks.datasets.registry import dataset_names
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.conversations import Entry, make_entry
from finer_tasks.training.mixture.general import FOLDER as GENERAL
from finer_tasks.training.mixture.general import GeneralEntries
from finer_tasks.training.mixture.leakage import NameSearch, concept_names
from finer_tasks.training.mixture.parts import Part, fetch, read_part
from finer_tasks.training.mixture.recipe import MixtureRecipe
from finer_tasks.training.mixture.selection import spread
from finer_tasks.training.recipe import recipe_hash
from finer_tasks.writing import locked, replacing

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
class _General:
    """The general set and the numbers of the entries chosen."""

    entries: GeneralEntries
    chosen: np.ndarray


@dataclass
class _Account:
    """Running counts while conversations stream by."""

    by_source: Counter[str] = field(default_factory=Counter)
    by_template: Counter[str] = field(default_factory=Counter)
    by_concept: Counter[str] = field(default_factory=Counter)
    by_superordinate: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    content: Any = field(default_factory=hashlib.sha256)

    def count(self, row: Mapping[str, Any], entry: Entry | None) -> None:
        """Add a conversation that is kept; `entry` where it is of a dataset, None where it is of the general set."""
        self.by_source[row["source"]] += 1
        if entry is not None:
            self.by_template.update(entry.templates)
            self.by_concept[entry.concept] += 1
            self.by_superordinate[entry.superordinate] += 1


def build_mixture(recipe: MixtureRecipe, output: Path, overwrite: bool = False) -> dict[str, Any]:
    """Build the mixture and return its card; raises MixtureError, and leaves what was there on any error."""
    require_as_published("a mixture")
    recipe.check(dataset_names())
    with locked(output):
        if output.exists() and not (overwrite and (output / "card.json").exists()):
            raise MixtureError(f"{output} exists; give another --output, or --overwrite to replace a mixture")
        with replacing(output) as temporary:
            (temporary / "images").mkdir(parents=True)
            unchecked: dict[str, str] = {}
            parts = [read_part(recipe, name, unchecked) for name in recipe.datasets]
            general = _general(recipe, temporary)
            account = _write_conversations(recipe, parts, general, temporary)
            _write_arrow(temporary)
            _link_images(recipe, parts, temporary / "images")
            card = _card(recipe, parts, general, account) | {"near_duplicates_not_checked": unchecked}
            (temporary / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def _general(recipe: MixtureRecipe, folder: Path) -> _General | None:
    if recipe.general is None:
        return None
    entries = GeneralEntries(recipe.general, folder, recipe.drop_broken)
    chosen = entries.choose(recipe.general.samples, np.random.default_rng((recipe.seed, 1)))
    if not len(chosen):
        why = ", ".join(f"{count} {reason}" for reason, count in entries.left_out.items()) or "it holds no entry"
        raise MixtureError(f"nothing is left of general.file {recipe.general.file}: {why}")
    return _General(entries, chosen)


def _write_conversations(recipe: MixtureRecipe, parts: list[Part], general: _General | None, folder: Path) -> _Account:
    account = _Account()
    held_out = [concept for name in recipe.held_out.datasets for concept in concepts_of(name)]
    search = NameSearch(concept_names(held_out) | _names_below(recipe, parts))
    total = sum(len(part.chosen) for part in parts) + (len(general.chosen) if general else 0)
    with (folder / "conversations.jsonl").open("w", encoding="utf-8") as file:
        for row, entry in tqdm(_rows(recipe, parts, general), total=total, desc="conversations", mininterval=1):
            if search.find("\n".join(turn["value"] for turn in row["conversations"])):
                account.named[row["source"]] += 1
                if recipe.held_out.shared_names == "drop":
                    continue
            line = json.dumps(row, ensure_ascii=False) + "\n"
            account.content.update(line.encode())
            account.count(row, entry)
            file.write(line)
    if not account.by_source:
        raise MixtureError("nothing is left: every conversation names a held-out concept")
    return account


def _names_below(recipe: MixtureRecipe, parts: list[Part]) -> set[str]:
    """Names of the held-out concepts, and of those of held-out superordinates."""
    held, alone = set(recipe.held_out.superordinates), set(recipe.held_out.concepts)
    return concept_names(
        concept
        for part in parts
        for concept in part.prepared.concepts()
        if concept.superordinate in held or concept_key(part.prepared.manifest.dataset, concept.concept_id) in alone
    )


def _rows(recipe: MixtureRecipe, parts: list[Part], general: _General | None) -> Iterator[tuple[dict[str, Any], Entry | None]]:
    """All conversations in one random order over all datasets; the order is the same for every style."""
    chosen = [part.chosen for part in parts] + ([general.chosen] if general else [])
    order = np.concatenate([np.stack([np.full(len(taken), number), taken], 1) for number, taken in enumerate(chosen)])
    order = order[np.random.default_rng((recipe.seed, 0)).permutation(len(order))]
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        docs = [fetch(part, chunk[chunk[:, 0] == number, 1]) for number, part in enumerate(parts)]
        for number, index in chunk.tolist():
            if general is not None and number == len(parts):
                row = general.entries[index]
                yield row | {"image": f"{GENERAL}/{row['image']}" if row["image"] else ""}, None
                continue
            part, doc = parts[number], next(docs[number])
            entry = make_entry(recipe, doc, part.taxonomy, part.knowledge[doc["concept_id"]])
            yield dict(entry.row), entry


def _write_arrow(folder: Path) -> None:
    rows = partial(_lines, folder / "conversations.jsonl")
    try:
        made = Dataset.from_generator(rows, features=FEATURES, cache_dir=str(folder / "cache"))
    except DatasetGenerationError as error:
        raise error.__cause__ or error from None  # what the disk refused
    made.save_to_disk(str(folder / "arrow"))
    del made
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def _link_images(recipe: MixtureRecipe, parts: list[Part], folder: Path) -> None:
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


def _card(recipe: MixtureRecipe, parts: list[Part], general: _General | None, account: _Account) -> dict[str, Any]:
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
        | ({GENERAL: dict(general.entries.left_out)} if general is not None else {}),
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
