"""Taxonomies: every class of a dataset with its accepted labels at the three levels.

One YAML file per dataset, written for review: `groups` list coarse labels, each with the
dataset's own class names under `classes`. A class gives its accepted `fine` labels (by default
its own name), `aliases` that only the strict scorer knows, and `general` names that denote it
together with others (a car without its year). Aliases that several files share lie in a file of
folder of their own, named by `synonyms`; names of cars are made by car_names.py. The taxonomy of a
dataset of the user's own lies in its folder (places.py) and is checked by users.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from finer_tasks.datasets.places import TAXONOMY, is_own, own_folder, stamp
from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.taxonomy.car_names import CarWords, car_names
from finer_tasks.datasets.taxonomy.users import read_users
from finer_tasks.errors import TaxonomyError
from finer_tasks.text import slug

_HEAD_KEYS = {
    "dataset", "noun", "coarse_term", "fine_term", "superordinate", "superordinate_choices",
    "coarse_choices", "superordinate_aliases", "synonyms", "makers", "bodies", "without_maker",
    "groups", "genera", "families", "orders", "classes",
}  # fmt: skip
_GROUP_KEYS = {"superordinate", "coarse", "aliases", "classes", "shape", "common"}
_CLASS_KEYS = {"fine", "aliases", "general", "parts"}


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """The reviewed taxonomy of one dataset, by the dataset's own class names. Compared by identity."""

    dataset: str
    noun: str
    coarse_term: str
    fine_term: str
    superordinate_choices: tuple[str, ...]
    coarse_choices: tuple[str, ...]
    superordinate_aliases: Mapping[str, tuple[str, ...]]
    classes: Mapping[str, Concept]
    raw: Mapping[str, Any] = field(repr=False)

    def concept(self, class_name: str) -> Concept:
        """The concept of a class; raises TaxonomyError naming the file if the class is unknown."""
        try:
            return self.classes[class_name]
        except KeyError:
            raise TaxonomyError(
                f"class {class_name!r} is not in the taxonomy of {self.dataset} (taxonomy/{self.dataset}.yaml, "
                f"{len(self.classes)} classes). Check that the folder holds the original {self.dataset} dataset"
            ) from None


def load_taxonomy(dataset: str) -> Taxonomy:
    """Read and validate taxonomy/<dataset>.yaml, or that of a dataset of the user's own; raises TaxonomyError on any flaw.

    It is asked for with every question, so the user's folder is looked at for names alone that the package does not have.
    """
    if dataset not in _names() and is_own(dataset):
        return _load_own(dataset, *stamp(own_folder(dataset) / TAXONOMY))
    return _load(dataset)


def read_taxonomy(path: Path, dataset: str, unfilled: bool = False) -> Taxonomy:
    """The taxonomy in a user's file; with `unfilled`, words that are still to be filled in are let pass."""
    return _taxonomy(dataset, read_users(path, dataset, unfilled), str(path))


@cache
def _names() -> frozenset[str]:
    """The datasets that the package has a taxonomy of."""
    files = (file.name for file in resources.files(__package__).iterdir())
    return frozenset(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


@cache
def _load_own(dataset: str, path: Path, *_: int) -> Taxonomy:
    return read_taxonomy(path, dataset)


@cache
def _load(dataset: str) -> Taxonomy:
    return _taxonomy(dataset, _read_yaml(f"{dataset}.yaml"), f"taxonomy/{dataset}.yaml")


def _taxonomy(dataset: str, raw: Mapping[str, Any], path: str) -> Taxonomy:
    _reject_unknown(raw, _HEAD_KEYS, path)
    shared = _read_yaml(f"synonyms/{raw['synonyms']}.yaml") if "synonyms" in raw else {}
    synonyms = {slug(name): names for name, names in shared.items()}
    classes: dict[str, Concept] = {}
    for name, concept in _iter_classes(raw, synonyms, path):
        if name in classes:
            raise TaxonomyError(f"{path}: class {name!r} is listed twice")
        classes[name] = concept
    if "makers" in raw:
        classes = _with_car_names(classes, CarWords(raw["makers"], raw["bodies"], raw["without_maker"]), path)
    return Taxonomy(
        dataset=dataset,
        noun=raw["noun"],
        coarse_term=raw["coarse_term"],
        fine_term=raw["fine_term"],
        superordinate_choices=tuple(raw["superordinate_choices"]),
        coarse_choices=tuple(raw.get("coarse_choices", ())),
        superordinate_aliases={k: tuple(v) for k, v in raw.get("superordinate_aliases", {}).items()},
        classes={name: _with_spaces(concept) for name, concept in classes.items()},
        raw=raw,
    )


def taxonomy_hash(dataset: str) -> str:
    """Hash of what a taxonomy says, comments left out: data prepared under another hash have other labels."""
    return _hash(load_taxonomy(dataset))


@cache
def _hash(taxonomy: Taxonomy) -> str:
    content = [taxonomy.raw, {name: asdict(concept) for name, concept in taxonomy.classes.items()}]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]


def _read_yaml(name: str) -> Any:
    try:
        return yaml.safe_load(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TaxonomyError(f"unknown dataset or names: there is no taxonomy/{name}") from error
    except yaml.YAMLError as error:
        raise TaxonomyError(f"taxonomy/{name}: not valid YAML: {error}") from error


def _iter_classes(raw: Mapping[str, Any], synonyms: Mapping[str, list[str]], path: str) -> Iterator[tuple[str, Concept]]:
    for group in raw.get("groups", ()):
        where = f"{path}: group {group.get('coarse')}"
        _reject_unknown(group, _GROUP_KEYS, where)
        superordinate = group.get("superordinate", raw.get("superordinate"))
        if not superordinate or not group.get("coarse") or not group.get("classes"):
            raise TaxonomyError(f"{where}: needs superordinate, coarse and classes")
        for name, entry in group["classes"].items():
            entry = {"fine": entry} if isinstance(entry, list) else (entry or {})
            _reject_unknown(entry, _CLASS_KEYS, f"{where}, class {name}")
            fine = tuple(entry.get("fine", [str(name)]))
            if not fine or not all(isinstance(label, str) and label.strip() for label in fine):
                raise TaxonomyError(f"{where}, class {name}: fine labels must be non-empty text (quote numbers)")
            yield (
                str(name),
                Concept(
                    concept_id=slug(fine[0]),
                    superordinate=superordinate,
                    coarse=tuple(group["coarse"]),
                    fine=fine,
                    coarse_aliases=tuple(group.get("aliases", ())),
                    aliases=(*synonyms.get(slug(fine[0]), ()), *entry.get("aliases", ())),
                    general=tuple(entry.get("general", ())),
                ),
            )


def _with_car_names(classes: Mapping[str, Concept], words: CarWords, path: str) -> dict[str, Concept]:
    try:
        names = car_names({name: concept.aliases for name, concept in classes.items()}, words)
    except ValueError as error:
        raise TaxonomyError(f"{path}: {error}") from error
    return {
        name: replace(concept, aliases=names[name].aliases, general=names[name].general) for name, concept in classes.items()
    }


def _with_spaces(concept: Concept) -> Concept:
    """The concept with every name also in the spelling with spaces for hyphens."""
    aliases = dict.fromkeys(form for name in (*concept.fine, *concept.aliases) for form in (name, name.replace("-", " ")))
    general = dict.fromkeys(form for name in concept.general for form in (name, name.replace("-", " ")))
    return replace(concept, aliases=tuple(name for name in aliases if name not in concept.fine), general=tuple(general))


def _reject_unknown(mapping: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = set(mapping) - known
    if unknown:
        raise TaxonomyError(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}")
