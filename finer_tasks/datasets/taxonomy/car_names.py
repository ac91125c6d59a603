"""Names of cars, made from a class name such as "BMW 3 Series Sedan 2012".

People put the year first or last, leave out the body or call it a saloon, call the maker by
another name, or leave it out where the model says enough. With its year a name denotes one car,
unless another car of the dataset bears it too ("2012 BMW 3 Series", sedan and wagon); without the
year it denotes the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True)
class CarWords:
    """How things are called: other names of makers and of bodies, and models known without their maker.

    Every maker of more than one word and every body is a key, whether or not it has other names.
    """

    makers: Mapping[str, Sequence[str]]
    bodies: Mapping[str, Sequence[str]]
    without_maker: Sequence[str]


@dataclass(frozen=True)
class CarNames:
    """Names that denote one class, and names that it shares with others or that lack its year."""

    aliases: tuple[str, ...]
    general: tuple[str, ...]


def car_names(classes: Mapping[str, Sequence[str]], words: CarWords) -> dict[str, CarNames]:
    """The names of every class; `classes` gives each class name the other names of its model, without maker."""
    undated = {name: list(dict.fromkeys(_undated(name, models, words))) for name, models in classes.items()}
    dated = {
        name: [form for full in names for form in (f"{full} {_year(name)}", f"{_year(name)} {full}")]
        for name, names in undated.items()
    }
    bearers = Counter(full.casefold() for names in dated.values() for full in names)
    return {
        name: CarNames(
            tuple(full for full in dated[name] if bearers[full.casefold()] == 1 and full != name),
            (*undated[name], *(full for full in dated[name] if bearers[full.casefold()] > 1)),
        )
        for name in classes
    }


def _year(name: str) -> str:
    year = name.rpartition(" ")[2]
    if not _YEAR.fullmatch(year):
        raise ValueError(f"class {name!r} does not end in a year")
    return year


def _undated(name: str, models: Sequence[str], words: CarWords) -> Iterator[str]:
    """Maker, model and body without the year, in every way in which they are called."""
    whole = name.rpartition(" ")[0]
    maker = next((maker for maker in words.makers if whole.startswith(f"{maker} ")), whole.split(" ")[0])
    body = next((body for body in words.bodies if whole.endswith(f" {body}")), "")
    own = whole.removeprefix(maker).removesuffix(body).strip()
    for model in (own, *models):
        makers = [f"{called} " for called in (maker, *words.makers.get(maker, ()))]
        if any(f"{model} ".startswith(f"{known} ") for known in words.without_maker):
            makers.append("")
        for called in makers:
            yield from (f"{called}{model} {form}" for form in (body, *words.bodies.get(body, ())) if form)
            yield f"{called}{model}"
