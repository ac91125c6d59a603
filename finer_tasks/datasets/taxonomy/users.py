"""Taxonomies that users write for datasets of their own, checked so that every mistake is told with its line.

The form is that of the files here, without what only the data of cars and iNaturalist need.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from finer_tasks.errors import TaxonomyError, at_line
from finer_tasks.parsing import line_of, read_model
from finer_tasks.text import slug

# What `finer dataset init` writes where only the user knows the word.
UNFILLED = "FILL_IN"

_Label = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Labels = Annotated[list[_Label], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Class(_Part):
    fine: _Labels | None = None
    aliases: list[_Label] = []
    general: list[_Label] = []


def _in_full(entry: Any) -> Any:
    return {"fine": entry} if isinstance(entry, list) else {} if entry is None else entry


class _Group(_Part):
    superordinate: _Label | None = None
    coarse: _Labels
    aliases: list[_Label] = []
    classes: Annotated[dict[_Label, Annotated[_Class, BeforeValidator(_in_full)]], Field(min_length=1)]


class _File(_Part):
    dataset: _Label | None = None
    noun: _Label
    coarse_term: _Label
    fine_term: _Label
    superordinate: _Label | None = None
    superordinate_choices: Annotated[list[_Label], Field(min_length=2)]
    coarse_choices: list[_Label] = []
    superordinate_aliases: dict[_Label, list[_Label]] = {}
    groups: Annotated[list[_Group], Field(min_length=1)]


def read_users(path: Path, dataset: str, unfilled: bool = False) -> dict[str, Any]:
    """The values of a user's taxonomy; raises TaxonomyError with file, line and key.

    With `unfilled`, words that are still to be filled in are let pass.
    """
    root, file = read_model(path, _File, TaxonomyError)
    if not unfilled and (line := _unfilled(root)):
        raise TaxonomyError(at_line(path, line, f"{UNFILLED} stands for a word that only you know", "Write it there"))
    problem = next(_problems(file, dataset), None)
    if problem:
        location, what = problem
        raise TaxonomyError(at_line(path, line_of(root, location) or 1, what))
    return file.model_dump(exclude_unset=True)


def _unfilled(node: yaml.Node) -> int | None:
    """The line of the first place that is not filled in."""
    if isinstance(node, yaml.ScalarNode):
        return node.start_mark.line + 1 if node.value == UNFILLED else None
    inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    return next((line for part in inner if (line := _unfilled(part))), None)


def _problems(file: _File, dataset: str) -> Iterator[tuple[list[str | int], str]]:
    """What does not fit together, with the place of each."""
    if file.dataset not in (None, dataset):
        yield ["dataset"], f"it is the taxonomy of {file.dataset}, and lies in the folder of {dataset}"
    classes: dict[str, str] = {}
    concepts: dict[str, tuple[str, str]] = {}
    for number, group in enumerate(file.groups):
        place: list[str | int] = ["groups", number]
        superordinate = group.superordinate or file.superordinate
        if superordinate is None:
            yield place, "the group has no `superordinate`, and the file has none for all groups"
        elif superordinate not in file.superordinate_choices:
            key: list[str | int] = [*place, "superordinate"] if group.superordinate else ["superordinate"]
            yield key, f"{superordinate!r} is not among superordinate_choices, from which the question lets choose"
        if file.coarse_choices and group.coarse[0] not in file.coarse_choices:
            yield [*place, "coarse"], f"{group.coarse[0]!r} is not among coarse_choices, from which the question lets choose"
        for name, entry in group.classes.items():
            where: list[str | int] = [*place, "classes", name]
            label = entry.fine[0] if entry.fine else name
            if name in classes:
                yield where, f"class {name!r} is in the group {classes[name]!r} already"
            classes[name] = group.coarse[0]
            known, coarse = concepts.setdefault(slug(label), (label, group.coarse[0]))
            if known.casefold() != label.casefold():
                yield where, f"{label!r} and {known!r} differ in nothing but punctuation, so that they cannot be told apart"
            if coarse != group.coarse[0]:
                yield where, f"{label!r} is a concept of the group {coarse!r} already"
    yield from _borrowed(file, {key: label for key, (label, _) in concepts.items()})


def _borrowed(file: _File, shown: dict[str, str]) -> Iterator[tuple[list[str | int], str]]:
    """Accepted names that are the name of another class: an answer would be right for either."""
    for number, group in enumerate(file.groups):
        for name, entry in group.classes.items():
            fine = entry.fine or [name]
            for label in [*fine[1:], *entry.aliases]:
                if slug(label) in shown and slug(label) != slug(fine[0]):
                    yield (
                        ["groups", number, "classes", name],
                        f"{label!r} counts as right for {fine[0]!r} and is the name of another class, {shown[slug(label)]!r}. "
                        "Leave it out, or write it under `general`, if several classes are called so",
                    )
