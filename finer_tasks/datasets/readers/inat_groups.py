"""The group to which a species of iNaturalist belongs, by the rule at the head of taxonomy/inat.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from finer_tasks.datasets.taxonomy import load_taxonomy

_TABLES = (("family", "families"), ("order", "orders"), ("class", "classes"))
RULES = ("genus", "family", "order", "class", "none")


class Group(NamedTuple):
    """Names of a group, the first being the one used in questions, and the rule that gave them (one of RULES)."""

    rule: str
    names: tuple[str, ...]


def group_of(category: Mapping[str, Any], own_names: Sequence[str]) -> Group:
    """The group of a category of the dataset; a name of the group that is also the species' own is passed over."""
    own = {name.casefold() for name in own_names}
    for group in _entries(category):
        if names := tuple(name for name in group.names if name.casefold() not in own):
            return Group(group.rule, names)
    return Group("none", ())


def _entries(category: Mapping[str, Any]) -> Iterator[Group]:
    """What the tables say, the closest rank first."""
    exceptions = _genera().get(category.get("family"), {})
    for key in (category.get("name"), category.get("genus")):
        if names := exceptions.get(key):
            yield Group("genus", names)
    raw = load_taxonomy("inat").raw
    for rank, table in _TABLES:
        if entry := raw[table].get(category.get(rank)):
            yield Group(rank, (entry,) if isinstance(entry, str) else tuple(entry))


@cache
def _genera() -> dict[str | None, dict[str | None, tuple[str, ...]]]:
    """Group names by genus or species, within their family: genera of animals and plants share names."""
    return {
        family: {name: tuple(group["coarse"]) for group in groups for name in group["of"]}
        for family, groups in load_taxonomy("inat").raw["genera"].items()
    }
