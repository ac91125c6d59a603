"""The concepts of a dataset, whether it is prepared here or known by its taxonomy alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from finer_tasks.datasets.prepared import Prepared, load_prepared
from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.taxonomy import Taxonomy, load_taxonomy
from finer_tasks.errors import NotPreparedError
from finer_tasks.text import slug


@dataclass(frozen=True, eq=False)
class Concepts:
    """Every fine concept of a dataset, once. Compared by identity, so that what is made of them can be kept."""

    listed: tuple[Concept, ...]

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.listed)

    def __len__(self) -> int:
        return len(self.listed)

    @cached_property
    def by_id(self) -> Mapping[str, Concept]:
        return {concept.concept_id: concept for concept in self.listed}

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Concept ids by first coarse label."""
        return sibling_groups(self.listed)

    def named(self, name: str) -> Concept | None:
        """The concept with this id, or the first with this name."""
        wanted = slug(name)
        return self.by_id.get(wanted) or next(
            (concept for concept in self if wanted in map(slug, (*concept.fine, *concept.aliases))), None
        )

    def siblings_of(self, concept_id: str) -> list[str]:
        """Concepts with the same first coarse label, itself left out."""
        return [other for other in self.groups[self.by_id[concept_id].coarse[0]] if other != concept_id]


def concepts_of(dataset: str) -> Concepts:
    """The concepts as prepared, else as in the taxonomy.

    Raises NotPreparedError where the taxonomy has none, as that of iNaturalist, whose own lists name them.
    """
    try:
        return _prepared(load_prepared(dataset))
    except NotPreparedError:
        if not (taxonomy := load_taxonomy(dataset)).classes:
            raise
        return _reviewed(taxonomy)


def sibling_groups(concepts: Iterable[Concept]) -> dict[str, tuple[str, ...]]:
    """Concept ids by first coarse label, each once."""
    groups: dict[str, dict[str, None]] = {}
    for concept in concepts:
        groups.setdefault(concept.coarse[0], {})[concept.concept_id] = None
    return {coarse: tuple(members) for coarse, members in groups.items()}


@cache
def _prepared(prepared: Prepared) -> Concepts:
    return Concepts(tuple(prepared.concepts()))


@cache
def _reviewed(taxonomy: Taxonomy) -> Concepts:
    return Concepts(tuple({concept.concept_id: concept for concept in taxonomy.classes.values()}.values()))
