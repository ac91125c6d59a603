"""The first taxonomy of a dataset: its classes in the groups that are known, with a mark where only the user knows the word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from finer_tasks.datasets.own.sources import Found
from finer_tasks.datasets.taxonomy.users import UNFILLED

_HEAD = """\
# The labels of {name}. Every {unfilled} wants a word that only you know: `finer prepare {name}` says which are left.
# `noun`: what an image shows, as in "The bird in this image". `coarse_term` and `fine_term`: what a group and a class are,
# as in "Which group of birds is it?" and "Which species is it exactly?".
noun: {noun}
coarse_term: {coarse_term}
fine_term: {fine_term}
# What all images show at the highest level, and the categories from which that question lets choose. Where it differs
# between groups, give `superordinate` in each of them instead.
{superordinate}
# A group has its `coarse` label first and others that are as right after it. A class accepts its own name, or the names in
# its list, the first being the one that is shown; with {{fine: [...], aliases: [...]}} the aliases are names that only the
# strict scorer knows.
groups:
"""
_CHOICES = ("Bird", "Car", "Dog")


@dataclass(frozen=True)
class Words:
    """Words of a dataset that its user gave; empty where not."""

    noun: str = ""
    coarse_term: str = ""
    fine_term: str = ""
    superordinate: str = ""


def skeleton(name: str, words: Words, found: Iterable[Found]) -> str:
    """The text of a taxonomy with the classes of these images."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    placed: dict[str, tuple[str, str]] = {}
    for one in found:
        key = placed.setdefault(one.class_name, (one.superordinate, one.coarse))
        groups.setdefault(key, {})[one.class_name] = None
    above = sorted({superordinate for superordinate, _ in groups} - {""})
    head = _HEAD.format(
        name=name,
        unfilled=UNFILLED,
        noun=_scalar(words.noun),
        coarse_term=_scalar(words.coarse_term),
        fine_term=_scalar(words.fine_term),
        superordinate=_superordinate(words.superordinate, above),
    )
    return head + "".join(line for key in sorted(groups) for line in _group(*key, groups[key]))


def _superordinate(given: str, found: list[str]) -> str:
    choices = [*found, *([given] if given or not found else [])]
    others = [choice for choice in _CHOICES if choice.casefold() not in map(str.casefold, choices)]
    listed = ", ".join(map(_scalar, [*choices, *(others if len(choices) < 2 else [])]))
    head = f"superordinate: {_scalar(given)}\n" if given or not found else ""
    return f"{head}superordinate_choices: [{listed}]"


def _group(superordinate: str, coarse: str, classes: Iterable[str]) -> Iterator[str]:
    yield f"  - coarse: [{_scalar(coarse)}]\n"
    if superordinate:
        yield f"    superordinate: {_scalar(superordinate)}\n"
    yield "    classes:\n"
    for name in sorted(classes):
        shown = UNFILLED if name.isdecimal() else readable(name)  # nobody answers with a number
        yield f"      {_scalar(name)}:{f' [{_scalar(shown)}]' if shown != name else ''}\n"


def readable(name: str) -> str:
    """A class name as a person would write it: "017.Amanita_muscaria" is "Amanita muscaria"; accents as keyboards give them."""
    words = re.sub(r"^\d+[._-]+", "", unicodedata.normalize("NFC", name)).replace("_", " ")
    return " ".join(words.split()) or name


def _scalar(text: str) -> str:
    """A text as YAML takes it for one, quoted where it has to be; the mark where there is none."""
    return yaml.safe_dump([text or UNFILLED], default_flow_style=True, allow_unicode=True, width=10**6)[1:-2]
