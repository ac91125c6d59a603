"""The names of a dataset's concepts and what they denote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from finer_tasks.datasets.record import Concept
from finer_tasks.datasets.taxonomy import Taxonomy, load_taxonomy
from finer_tasks.scoring.strict.extra import Extra, load_extra
from finer_tasks.scoring.strict.names import COARSE, FINE, SUPERORDINATE, Name, outside
from finer_tasks.scoring.strict.parted import models_of
from finer_tasks.scoring.strict.words import words_of

PREFIX = 3
YEAR_PATTERN = re.compile(r"(?:19[5-9]|20[0-4])\d")
_BINOMIAL = re.compile(r"[A-Z][a-z]+ [a-z]+")


@dataclass
class _Entry:
    denotes: set[str] = field(default_factory=set)
    levels: set[int] = field(default_factory=set)
    one_word: bool = True


class Lexicon:
    """All names of a dataset's concepts, by their folded words written as one."""

    @classmethod
    def of(cls, taxonomy: Taxonomy, concepts: Iterable[Concept]) -> Lexicon:
        """The names of the given concepts of a dataset, with its further words and the kinds outside it."""
        superordinates = {name: taxonomy.superordinate_aliases.get(name, ()) for name in taxonomy.superordinate_choices}
        extra = load_extra(taxonomy.dataset)
        made = cls(concepts, superordinates, extra)
        for other in extra.outside_datasets:
            made.add_outside_concepts(load_taxonomy(other).classes.values())
        return made

    def __init__(
        self, concepts: Iterable[Concept], superordinates: Mapping[str, Sequence[str]], extra: Extra | None = None
    ) -> None:
        """`superordinates` maps each superordinate a model may choose to its aliases."""
        extra = extra or Extra()
        concepts = list(concepts)
        self.years = _years(concepts)
        self.own = {"".join(words_of(concept.fine[0])): concept.concept_id for concept in concepts}
        self.families = {"".join(words_of(label)) for concept in concepts for label in concept.fine[1:]} - set(self.own)
        self._entries: dict[str, _Entry] = {}
        self._extra = extra
        self.listed: set[str] = set()  # labels with commas in them, "Ducks, Geese, and Swans"
        members: dict[tuple[str, int], set[str]] = {}
        groups: dict[str, set[str]] = {}
        for concept in concepts:
            self._add_fine(concept)
            groups.setdefault(concept.coarse[0], set()).add(concept.concept_id)
            for label in (*concept.coarse, *concept.coarse_aliases):
                members.setdefault((label, COARSE), set()).add(concept.concept_id)
            members.setdefault((concept.superordinate, SUPERORDINATE), set()).add(concept.concept_id)
        for (label, level), ids in members.items():
            self._add(label, ids, level)
        for label, aliases in superordinates.items():
            ids = members.get((label, SUPERORDINATE)) or {f"<{label}>"}
            for alias in (label, *aliases):
                self._add(alias, ids, SUPERORDINATE)
        self.sets = {key: frozenset(ids) for key, ids in members.items()}
        self.groups = {label: frozenset(ids) for label, ids in groups.items()}
        self._add_same()
        self.names = {key: Name(frozenset(entry.denotes), frozenset(entry.levels)) for key, entry in self._entries.items()}
        labels = [label for label, level in members if level == COARSE]
        self.group_names = {self.names[key].denotes for label in labels if (key := "".join(words_of(label))) in self.names}
        self.short = _short_names(concepts, self.names) if not self.years else {}
        self.parts: dict[Name, Name] = {}
        self._add_parts(concepts)
        self._add_outside()
        self.models = models_of(concepts, self.names, extra.makers) if self.years else {}
        self._true: dict[tuple[str, tuple[str, ...], tuple[str, ...]], dict[int, frozenset[str]]] = {}
        self.reach: dict[str, int] = {}
        for key in self.names:
            self._reachable(key)

    def fine_set(self, labels: Iterable[str]) -> frozenset[str]:
        """Concepts that the given fine labels denote, each with its year where the dataset's labels have one."""
        found: set[str] = set()
        for label in labels:
            if name := self.names.get("".join(words_of(YEAR_PATTERN.sub(" ", label) if self.years else label))):
                year = YEAR_PATTERN.search(label) if self.years else None
                found |= name.denotes & self.years.get(year.group(), frozenset()) if year else name.denotes
        return frozenset(found)

    def true_sets(self, superordinate: str, coarse: tuple[str, ...], fine: tuple[str, ...]) -> dict[int, frozenset[str]]:
        """Concepts that count as the truth at each level: below the superordinate, in the group, with the fine labels.

        The group is that of the first coarse label. The others may be wider ("Ducks, Geese, and
        Swans"): naming them is right, naming something else below them is not.
        """
        key = (superordinate, coarse, fine)
        if key not in self._true:
            self._true[key] = {
                SUPERORDINATE: self.level_set([superordinate], SUPERORDINATE),
                COARSE: self.groups.get(coarse[0]) or self.level_set(coarse, COARSE),
                FINE: self.fine_set(fine),
            }
        return self._true[key]

    def level_set(self, labels: Iterable[str], level: int) -> frozenset[str]:
        """Concepts below the given coarse (2) or superordinate (1) labels."""
        return frozenset().union(*(self.sets.get((label, level), frozenset()) for label in labels))

    def common_level(self, concept_ids: frozenset[str]) -> int:
        """The deepest level at which all these concepts have one label: coarse (2), superordinate (1), or none (0)."""
        if any(concept_ids <= group for group in self.groups.values()):
            return COARSE
        wholes = (ids for (_, level), ids in self.sets.items() if level == SUPERORDINATE)
        return SUPERORDINATE if any(concept_ids <= whole for whole in wholes) else 0

    def is_one_word(self, key: str) -> bool:
        """Whether a name is one word of letters."""
        entry = self._entries.get(key)
        return entry is not None and entry.one_word and key.isalpha()

    def _add_fine(self, concept: Concept) -> None:
        for label in (*concept.fine, *concept.aliases):
            if self.years:
                label = YEAR_PATTERN.sub(" ", label)
            self._add(label, [concept.concept_id], FINE)
            if _BINOMIAL.fullmatch(label) and label not in concept.fine:
                self._add(f"{label[0]} {label.split()[1]}", [concept.concept_id], FINE)
        for label in concept.general:
            self._add(
                YEAR_PATTERN.sub(" ", label) if self.years else label, [concept.concept_id], FINE if self.years else COARSE
            )

    def _add(self, label: str, concept_ids: Iterable[str], level: int) -> None:
        words = words_of(label)
        if "," in label:
            self.listed.add("".join(words))
        for key in (*self._keys(words), *_variants(label, words)):
            entry = self._entries.setdefault(key, _Entry())
            entry.denotes.update(concept_ids)
            entry.levels.add(level)
            entry.one_word = entry.one_word and len(words) == 1

    def _keys(self, words: Sequence[str]) -> Iterator[str]:
        key = "".join(words)
        if not key:
            return
        yield key
        for maker, others in self._extra.makers.items():
            if key.startswith(maker) and len(key) > len(maker):
                for other in others:
                    yield other + key.removeprefix(maker)
        if self.years:  # "Model: Leaf, Make: Nissan"
            for count in range(1, min(3, len(words))):
                yield "".join((*words[count:], *words[:count]))

    def _add_same(self) -> None:
        for label, others in self._extra.same.items():
            key = "".join(words_of(label))
            if entry := self._entries.get(key):
                # A version of a concept whose name is also a family's is no version of the rest of the family.
                denotes = {self.own[key]} if key in self.own else entry.denotes
                for other in others:
                    words = words_of(other)
                    for form in self._keys(words):
                        self._entries.setdefault(form, replace(entry, denotes=denotes, one_word=len(words) == 1))

    def _add_parts(self, concepts: Sequence[Concept]) -> None:
        """A cab is a name of the cars that have it; asked for the body, it stands for the group."""
        for group, parts in self._extra.parts.items():
            whole = self.names["".join(words_of(group))]
            for part in parts:
                key = "".join(words_of(part))
                ids = frozenset(c.concept_id for c in concepts if key in "".join(words_of(c.fine[0])))
                self.names[key] = Name(ids, frozenset([FINE])) if ids else outside(part, whole.denotes)
                self.parts[self.names[key]] = whole

    def _add_outside(self) -> None:
        for group, others in self._extra.outside.items():
            if kin := self._kin(group):
                for other in others:
                    for full in (other, f"{group} {other}"):  # "Beechcraft King Air 350"
                        for key in self._keys(words_of(full)):
                            self.names.setdefault(key, outside(other, kin))

    def add_outside_concepts(self, concepts: Iterable[Concept]) -> None:
        """Take the concepts of another dataset as kinds outside this one, unless one of their names is known here."""
        for concept in concepts:
            labels = [*concept.fine, *concept.aliases]
            known = [self.names[key] for label in labels if (key := "".join(words_of(label))) in self.names]
            own = next((name for name in known if FINE in name.levels and not name.kin), None)
            kin = next((kin for label in (*concept.coarse, concept.superordinate) if (kin := self._kin(label))), frozenset())
            for label in labels:
                key = "".join(words_of(label))
                self.names.setdefault(key, own or outside(concept.fine[0], kin))
                self._reachable(key)

    def _kin(self, label: str) -> frozenset[str]:
        """The concepts of a group, by a first coarse label if it is one; none if the label is unknown."""
        name = self.names.get("".join(words_of(label)))
        return self.groups.get(label) or (name.denotes if name else frozenset())

    def _reachable(self, key: str) -> None:
        for end in range(1, PREFIX + 1):
            self.reach[key[:end]] = max(self.reach.get(key[:end], 0), len(key))


def _variants(label: str, words: Sequence[str]) -> Iterator[str]:
    """Forms that folding word by word does not bring together: "rosebreasted", "Salukis"."""
    if "-" in label:
        yield "".join(words_of(label.replace("-", "")))
    if words and len(words[-1]) > 2 and words[-1][-1] in "iu":
        yield "".join(words) + "s"


def _years(concepts: Iterable[Concept]) -> dict[str, frozenset[str]]:
    """Concepts by model year, where every label of a dataset ends with one."""
    by_year: dict[str, set[str]] = {}
    for concept in concepts:
        year = YEAR_PATTERN.fullmatch(concept.fine[0].split()[-1])
        if year is None:
            return {}
        by_year.setdefault(year.group(), set()).add(concept.concept_id)
    return {year: frozenset(ids) for year, ids in by_year.items()}


def _short_names(concepts: Iterable[Concept], names: Mapping[str, Name]) -> dict[tuple[str, ...], Name]:
    """First words that can stand for a name: "Laysan" for "Laysan Albatross", "herding" for "herding dog"."""
    by_words: dict[tuple[str, ...], set[str]] = {}
    short: dict[tuple[str, ...], Name] = {}
    for concept in concepts:
        for label in concept.fine:
            words = tuple(words_of(label))
            for end in range(1, len(words)):
                by_words.setdefault(words[:end], set()).add(concept.concept_id)
        for label in concept.coarse:
            *first, last = words_of(label)
            if first and [last] == words_of(concept.superordinate):
                short[tuple(first)] = names["".join((*first, last))]
    for words, ids in by_words.items():
        if len(ids) == 1:
            short[words] = Name(frozenset(ids), frozenset([FINE]))
    return {words: name for words, name in short.items() if "".join(words) not in names}
