"""Prompt sets: named YAML files with one Jinja template per variant and level.

The default set is finer-1. The environment variable FINER_PROMPTS names another one of this
folder or a YAML file of the user's own; its name and hash go into every result. Questions that
the set in use lacks and COMPANION has (a leave to decline, say) are asked by that one, whose name
and hash the result then has: so a new way of asking leaves the hash of the default set as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.taxonomy import Taxonomy
from finer_tasks.errors import PromptError
from finer_tasks.parsing import read_yaml

DEFAULT = "finer-1"
COMPANION = "questions-1"
VARIABLE = "FINER_PROMPTS"
# The key of a set that has the templates of another one but for those that it gives itself.
_EXTENDS = "extends"
# A prompt file is data that people pass on: its templates can neither reach Python nor change what they are given.
_JINJA = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
# What gives another text each time: the same set asks the same questions.
del _JINJA.filters["random"], _JINJA.globals["lipsum"]


@dataclass(frozen=True)
class Blanks:
    """What a question may name of a document, beside the words of its dataset.

    Attributes:
        parent: label one level up, None to leave it out.
        parents: all labels above the asked level, superordinate first.
        attributes: phrases.
        ranks: scientific ranks with names, down to genus.
        name: the concept's own name, for questions that ask about it and not for it.
        options: the names to choose from, in the order in which they are offered.
        claim: the name that the question asks to confirm.
    """

    parent: str | None = None
    parents: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()
    name: str = ""
    options: tuple[str, ...] = ()
    claim: str = ""


@dataclass(frozen=True)
class PromptSet:
    """Templates by variant and level, with the hash of the file's content (first 12 hex digits)."""

    name: str
    hash: str
    templates: Mapping[str, Mapping[str, jinja2.Template]]

    def asks(self, variant: str, level: str) -> bool:
        """Whether all templates of the variant are there."""
        return all(level in self.templates.get(part, {}) for part in _PARTS.get(variant, (variant,)))

    def require(self, variant: str, level: str) -> None:
        """Raise PromptError if a template of the variant is missing."""
        for part in _PARTS.get(variant, (variant,)):
            if level not in self.templates.get(part, {}):
                raise PromptError(
                    f"prompt set {self.name!r} has no template {part!r} for level {level!r}, which this task needs. "
                    f"Add it to the file that {VARIABLE} names"
                )

    def question(self, variant: str, level: str, taxonomy: Taxonomy, blanks: Blanks) -> str:
        """The question put to a model; raises PromptError if the set has no such template."""
        choices = {"superordinate": taxonomy.superordinate_choices, "coarse": taxonomy.coarse_choices}.get(level, ())
        self.require(variant, level)
        words = {"noun": taxonomy.noun, "coarse_term": taxonomy.coarse_term, "fine_term": taxonomy.fine_term}
        place = f"prompt set {self.name!r}: {variant!r}, {level!r}"
        return _render(self.templates[variant][level], place, words | {"choices": list(choices)}, blanks)


# Templates that a variant is made of, where they are not named like it.
_PARTS = {"attrseek": ("attrseek_seek", "attrseek_answer")}
# With every blank filled in, and with those empty that may be.
_WORDS = {"noun": "object", "coarse_term": "kind", "fine_term": "type", "choices": ["Bird"]}
_OPTIONS = ("Laysan Albatross", "Sooty Albatross")
_EXAMPLES = tuple(
    Blanks(parent, ("Bird", "Albatross"), ("white head",), ranks, "Laysan Albatross", _OPTIONS, _OPTIONS[1])
    for parent, ranks in (("Bird", ("genus Phoebastria",)), (None, ()))
)


def active_prompt_set() -> PromptSet:
    """The set named by FINER_PROMPTS, else the default; raises PromptError if it cannot be used."""
    return load_prompt_set(os.environ.get(VARIABLE) or DEFAULT)


def prompt_set_for(variant: str, level: str) -> PromptSet:
    """The set that asks a variant: the active one, else the companion, where that has it and the active one does not.

    Raises as active_prompt_set.
    """
    active, companion = active_prompt_set(), _read(COMPANION)
    return companion if not active.asks(variant, level) and companion.asks(variant, level) else active


@cache
def load_prompt_set(name_or_path: str) -> PromptSet:
    """Read a prompt set by the name of a file in this folder or by the path of a YAML file; one with the direct questions."""
    found = _read(name_or_path)
    if set(found.templates.get("direct", {})) != set(LEVELS):
        raise PromptError(f"{name_or_path}: 'direct' needs exactly one template for each of {', '.join(LEVELS)}")
    return found


@cache
def _read(name_or_path: str) -> PromptSet:
    path = Path(__file__).parent / f"{name_or_path}.yaml"
    if not path.is_file():
        path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise PromptError(f"prompt set {name_or_path!r} ({VARIABLE}) cannot be read: neither a set of finer-tasks nor a file")
    _, raw = read_yaml(path, PromptError)
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not raw["name"].strip():
        raise PromptError(f"{path}: a prompt set needs a text field 'name'")
    base = _base(path, raw.get(_EXTENDS))
    own = {variant: _compile(path, variant, raw[variant]) for variant in raw if variant not in ("name", _EXTENDS)}
    templates = {**(base.templates if base else {}), **own}
    text = (base.hash if base else "") + path.read_text(encoding="utf-8")
    return PromptSet(raw["name"], hashlib.sha256(text.encode()).hexdigest()[:12], templates)


def _base(path: Path, name: object) -> PromptSet | None:
    """The set of finer-tasks whose templates another one starts from, None if it starts from none."""
    if name is None:
        return None
    known = sorted({file.stem for file in Path(__file__).parent.glob("*.yaml")} - {COMPANION})
    if name not in known:
        raise PromptError(f"{path}: {_EXTENDS!r} must name a set of finer-tasks ({', '.join(known)}), found {name!r:.80}")
    return load_prompt_set(str(name))


def _compile(path: Path, variant: str, levels: object) -> dict[str, jinja2.Template]:
    if not isinstance(levels, dict):
        raise PromptError(f"{path}: {variant!r} must map levels to templates")
    compiled = {}
    for level, source in levels.items():
        place = f"{path}: {variant!r}, {level!r}"
        try:
            compiled[level] = _JINJA.from_string(source)
        except Exception as error:  # whatever a template of the user's own makes of Jinja
            raise PromptError(f"{place}: not a template that can be used: {_why(error)}") from error
        for blanks in _EXAMPLES:
            _render(compiled[level], place, _WORDS, blanks)
    return compiled


def _render(template: jinja2.Template, place: str, words: Mapping[str, object], blanks: Blanks) -> str:
    try:
        text = template.render(**words, **vars(blanks))
        text.encode()  # half of a surrogate pair is no text that a model can be asked
    except Exception as error:  # as above: also a division by zero, or recursion without end
        raise PromptError(f"{place}: the template cannot be filled in: {_why(error)}") from error
    if not text.strip():
        raise PromptError(f"{place}: the template asks nothing. Write the question, or leave the level out")
    return text


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
