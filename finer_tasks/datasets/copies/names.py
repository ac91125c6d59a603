"""Which class of a dataset a name in somebody's copy means, by the names and aliases of its taxonomy."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from finer_tasks.datasets.lines import read_lines
from finer_tasks.datasets.record import Concept
from finer_tasks.errors import DatasetContentError, DatasetLayoutError
from finer_tasks.parsing import read_yaml
from finer_tasks.text import slug

# `001.Black_footed_Albatross`, `n02085620-Chihuahua`; the eight pieces of a folder of iNaturalist are told apart below.
_NUMBERED = re.compile(r"\d+[._ -]|n\d{8}[_ -]")
_SHOWN = 10


class ClassMatch(NamedTuple):
    """The class that a copy's name means: its name in the taxonomy, and the concept."""

    class_id: str
    concept: Concept


@dataclass(frozen=True)
class Matched:
    """The names of a copy and what they mean, and those that mean nothing or more than one thing, with why.

    `absent` are classes of the dataset of which the copy names none.
    """

    classes: Mapping[str, ClassMatch]
    unmatched: Mapping[str, str]
    absent: tuple[str, ...]

    def describe(self) -> str:
        """How many names match, how many in another spelling, and what does not, in lines."""
        total = len(self.classes) + len(self.unmatched)
        respelled = sum(name != match.class_id for name, match in self.classes.items())
        lines = [f"{len(self.classes)} of {total} class names match" + (f", {respelled} in another spelling" * bool(respelled))]
        lines += [f"  no class: {name!r}{why}" for name, why in list(self.unmatched.items())[:_SHOWN]]
        if len(self.unmatched) > _SHOWN:
            lines.append(f"  … and {len(self.unmatched) - _SHOWN} more")
        if self.absent:
            more = ", …" if len(self.absent) > _SHOWN else ""
            lines.append(f"  {len(self.absent)} classes are not in the copy: {', '.join(self.absent[:_SHOWN])}{more}")
        return "\n".join(lines)


@dataclass(frozen=True)
class ClassNames:
    """The classes of a dataset by every name they bear; build with `of`."""

    concepts: Mapping[str, Concept]
    _levels: tuple[tuple[Callable[[str], str], Mapping[str, frozenset[str]]], ...] = field(repr=False)

    @classmethod
    def of(cls, concepts: Mapping[str, Concept]) -> ClassNames:
        """From the concept of every class. Own names come before accepted ones, these before aliases, words before letters."""
        named = (
            lambda name, concept: (name,),
            lambda name, concept: concept.fine,
            lambda name, concept: concept.aliases,
        )
        levels = [
            (key, _index((key(label), name) for name, concept in concepts.items() for label in labels(name, concept)))
            for key in (slug, _letters)
            for labels in named
        ]
        return cls(concepts, tuple(levels))

    def find(self, name: str) -> ClassMatch | None:
        """The class that a name means; None for one that means none or several, and for a bare number."""
        owners = self._owners(name)
        if len({self.concepts[owner].concept_id for owner in owners}) != 1:
            return None
        # A species of which the dataset has several classes, as male and female, is none of them.
        return ClassMatch(min(owners) if len(owners) == 1 else name, self.concepts[min(owners)])

    def why_not(self, name: str) -> str:
        """Why a name is no class, as far as it helps."""
        if owners := sorted(self._owners(name)):
            return f" (means {len(owners)} classes: {', '.join(owners[:3])}{', …' if len(owners) > 3 else ''})"
        own = self._levels[0][1]
        close = get_close_matches(slug(name), own, n=1, cutoff=0.8)
        return f" (nearest: {min(own[close[0]])!r})" if close else ""

    def match(self, names: Mapping[str, str]) -> Matched:
        """What the labels of a copy mean, by the name of each."""
        found = {label: self.find(name) for label, name in names.items()}
        classes = {label: match for label, match in found.items() if match is not None}
        present = {match.concept.concept_id for match in classes.values()}
        return Matched(
            classes,
            {label: self.why_not(names[label]) for label, match in found.items() if match is None},
            tuple(name for name, concept in self.concepts.items() if concept.concept_id not in present),
        )

    def _owners(self, name: str) -> frozenset[str]:
        for form in _forms(name):
            for key, level in self._levels:
                if owners := level.get(key(form)):
                    return owners
        return frozenset()


def is_bare_number(name: str) -> bool:
    """Whether a name is only the number of a class."""
    return name.strip().isdecimal()


def read_class_names(path: Path) -> dict[str, str]:
    """Names by what a copy has in their place: a text file with one name a line, a YAML or JSON list, or a mapping.

    Lines and lists count from 0, as the labels of `datasets` and torchvision do. Raises DatasetLayoutError for a file that
    cannot be read, DatasetContentError for one that holds something else.
    """
    if path.suffix.lower() not in {".yaml", ".yml", ".json"}:
        return {str(place): line for place, (_, line) in enumerate(read_lines(path))}
    _, value = read_yaml(path, DatasetLayoutError)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    names = {str(key): name for key, name in pairs if isinstance(name, str) and name.strip()}
    if not names or len(names) != len(value):
        raise DatasetContentError(
            f"{path}: expected a list of class names, or a mapping of the copy's labels to class names, all of them text"
        )
    return names


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    owners: dict[str, set[str]] = defaultdict(set)
    for key, name in pairs:
        if key and not key.isdecimal():
            owners[key].add(name)
    return {key: frozenset(names) for key, names in owners.items()}


def _forms(name: str) -> Iterator[str]:
    """The name as it is, then without the number of its class, then the species of a folder of iNaturalist."""
    yield name
    pieces = name.split("_")
    if len(pieces) == 8 and pieces[0].isdecimal():
        yield " ".join(pieces[-2:])
    elif (numbered := _NUMBERED.match(name)) and any(map(str.isalpha, rest := name[numbered.end() :].lstrip("._ -"))):
        yield rest


def _letters(name: str) -> str:
    """Letters and digits alone: folder names drop what a path cannot hold, as `F-16AB` for F-16A/B."""
    return slug(name).replace("_", "")
