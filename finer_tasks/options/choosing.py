"""The options of a document: the right name and wrong ones, in the order in which a question offers them.

Nothing depends on a document's number in a run, so that a part of a split, or a shard of it, asks what the whole asks:

* the wrong names are drawn from the document's id and the seed;
* the right position comes from the document's place among all of its split, sorted by concept and, within one, by a hash
  of id and seed. Going round the positions in that order makes each right equally often, to within one, in the split and
  in each concept.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from finer_tasks.datasets.concepts import Concepts, concepts_of
from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.record import Concept, dataset_of, labels_at
from finer_tasks.options.negatives import NegativesFile, file_of, names_fingerprint, read_negatives
from finer_tasks.options.settings import LETTERS, VARIABLE, ChoicesError, Setting, active_setting, recorded

LEVELS = ("coarse", "fine")
Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One concept of a level: its key (id at fine level, first label at coarse level), and the name that is shown.

    Attributes:
        accepted: names that count as right for it at its level, in lower case.
        parent: what its siblings share, one level up.
        above: what is shared two levels up.
        example: a fine concept that it is or that lies below it.
    """

    key: str
    name: str
    accepted: frozenset[str]
    parent: str
    above: str
    example: Concept


@dataclass(frozen=True)
class Options:
    """What a question offers: keys and names in order, and the position of the right one."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    right: int

    @property
    def letters(self) -> str:
        return LETTERS[: len(self.names)]


def kinds_of(dataset: str, level: str) -> Mapping[str, Kind]:
    """The concepts of a level by key; raises NotPreparedError where only the prepared data know them."""
    return _kinds(level, concepts_of(dataset))


@cache
def _kinds(level: str, concepts: Concepts) -> Mapping[str, Kind]:
    members: dict[str, list[Concept]] = {}
    for concept in concepts:
        members.setdefault(concept.concept_id if level == "fine" else concept.coarse[0], []).append(concept)
    return {key: _kind(key, level, some) for key, some in members.items()}


def _kind(key: str, level: str, members: Sequence[Concept]) -> Kind:
    first = members[0]
    if level == "fine":
        accepted, parent, above = (*first.fine, *first.aliases), first.coarse[0], first.superordinate
        return Kind(key, first.fine[0], _lower(accepted), parent, above, first)
    accepted = tuple(label for member in members for label in (*member.coarse, *member.coarse_aliases))
    return Kind(key, key, _lower(accepted), first.superordinate, "", first)


def _lower(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def active_options(doc: Doc, level: str) -> Options:
    """The options of a document by FINER_CHOICES; raises ChoicesError."""
    return options_of(doc, level, active_setting())


def active_names(doc: Doc, level: str) -> tuple[str, ...]:
    """The names of active_options, in their order."""
    return active_options(doc, level).names


def options_of(doc: Doc, level: str, setting: Setting) -> Options:
    """The options of a document of a prepared split; the same on every machine and in every part of a run.

    Raises ChoicesError where the setting's hard negatives do not reach it.
    """
    dataset, identity = dataset_of(doc["id"]), str(doc["id"])
    kinds = kinds_of(dataset, level)
    right = kinds[_key(doc, level)]
    count = min(setting.options, len(kinds))
    draw = random.Random(f"{setting.seed}/{level}/{identity}")
    wrong = _different(right, labels_at(doc, level), _ordered(right, kinds, identity, setting, level, draw), count - 1)
    draw.shuffle(wrong)
    options = [*wrong, right]
    if setting.balanced:
        place = _places(load_prepared(dataset), identity.split("/")[1], level, setting.seed)[identity] % len(options)
        options = [*wrong[:place], right, *wrong[place:]]
    else:
        draw.shuffle(options)
    return Options(tuple(one.key for one in options), tuple(one.name for one in options), options.index(right))


def _key(doc: Doc, level: str) -> str:
    return str(doc["concept_id"] if level == "fine" else doc["coarse"][0])


def _ordered(
    right: Kind, kinds: Mapping[str, Kind], identity: str, setting: Setting, level: str, draw: random.Random
) -> Iterator[Kind]:
    """The other concepts, those that are to be taken first in front."""
    if setting.path is not None:
        yield from (kinds[key] for key in negatives_of(setting, dataset_of(identity)).of(level, identity, right.key))
        return
    others = [kind for kind in kinds.values() if kind is not right]
    draw.shuffle(others)
    if setting.name == "siblings":
        others.sort(key=lambda kind: (kind.parent != right.parent, kind.above != right.above))
    yield from others


def _different(right: Kind, labels: Sequence[str], others: Iterator[Kind], wanted: int) -> list[Kind]:
    """The first concepts whose names are neither right for the document nor those of another option."""
    accepted, shown, found = right.accepted | _lower(labels), {right.name.casefold()}, list[Kind]()
    for kind in others:
        if len(found) == wanted:
            break
        name = kind.name.casefold()
        if name in accepted or name in shown or right.name.casefold() in kind.accepted:
            continue
        shown.add(name)
        found.append(kind)
    return found


@cache
def _places(prepared: Prepared, split: str, level: str, seed: int) -> Mapping[str, int]:
    """The place of each document of a split in the order that goes round the positions."""
    table = prepared.tables()[split]

    def scattered(text: str) -> str:
        return hashlib.sha256(f"{seed}/{level}/{text}".encode()).hexdigest()

    pairs = zip(table["concept_id"], table["id"], strict=True)
    ordered = sorted((scattered(concept), scattered(name), name) for concept, name in pairs)
    return {name: place for place, (_, _, name) in enumerate(ordered)}


def negatives_of(setting: Setting, dataset: str) -> NegativesFile:
    """The hard negatives of a setting; raises ChoicesError."""
    assert setting.path is not None
    return read_negatives(file_of(setting.path, dataset))


@cache
def described(setting: Setting, prepared: Prepared, level: str) -> dict[str, Any]:
    """A setting as the results of a task record it; raises ChoicesError if it cannot give the options of every document."""
    dataset = prepared.manifest.dataset
    kinds = kinds_of(dataset, level)
    if len(kinds) < 2:
        raise ChoicesError(f"{dataset} has one concept at {level} level, so that there is nothing to choose between")
    if setting.path is None:
        return recorded(setting)
    file = negatives_of(setting, dataset)
    data = dict(prepared.manifest.contents) | {"": names_fingerprint(names_of(dataset))}
    file.check(dataset, level, data, kinds, images_only=setting.protocol is not None)
    for doc in prepared.tables()["test"].select_columns(["id", "concept_id", "coarse", "fine"]):
        found = options_of(doc, level, setting)
        if len(found.names) < min(setting.options, len(kinds)):
            raise ChoicesError(
                f"{file.path} ({VARIABLE}) gives {doc['id']} {len(found.names) - 1} wrong names at {level} level, "
                f"{setting.options - 1} are needed. Keep more of them: finer negatives --keep"
            )
    return recorded(setting, file.fingerprint, file.contents.model)


def names_of(dataset: str) -> dict[str, dict[str, str]]:
    """The name that is shown of every concept, by level and key."""
    return {level: {key: kind.name for key, kind in kinds_of(dataset, level).items()} for level in LEVELS}
