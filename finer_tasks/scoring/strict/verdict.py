"""The verdict on an answer: what is asserted, and whether it is the true concept at the asked level or below.

Each name denotes a set of fine concepts: a fine name one, a coarse label all below it, a car
without its year all its years. What an answer asserts is what all asserted names have in common.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.datasets.record import LEVELS
from finer_tasks.scoring.strict.lexicon import Lexicon
from finer_tasks.scoring.strict.mentions import Mention, Reading, Status
from finer_tasks.scoring.strict.names import COARSE, FINE, SUPERORDINATE, YEAR, Name
from finer_tasks.scoring.strict.status import read_answer

REASONS = (
    "right", "wrong_sibling", "wrong_coarse", "wrong_superordinate", "too_general", "several", "hybrid", "negated",
    "compared", "hedged", "unknown_name", "abstained", "empty", "corrupt_image",
    "request_failed", "unfinished_thought",
)  # fmt: skip
# What an answer is wrong for that asserts nothing; the first status among its names counts.
_UNASSERTED = (
    (Status.ALTERNATIVE, "several"), (Status.HYBRID, "hybrid"), (Status.HEDGED, "hedged"),
    (Status.COMPARED, "compared"), (Status.NEGATED, "negated"), (Status.CONTRASTED, "negated"),
)  # fmt: skip


@dataclass(frozen=True)
class StrictScore:
    """The verdict on one answer.

    Attributes:
        right: the strict exact match.
        reason: one of REASONS.
        named: the names found, those asserted if any is.
        depth: deepest level named correctly: 0 none, 1 superordinate, 2 coarse, 3 fine.
        distance: edges between the named and the true node through their lowest common ancestor,
            both cut at the asked level; None where the answer does not name exactly one thing.
        concept: the id of the one fine concept named; empty for a group, for several, and for a kind
            that the dataset does not have.
        specificity: deepest level that is named, rightly or not, also below the asked one; for several things,
            that of what they have in common; 0 where nothing is asserted. Never less than depth.
    """

    right: bool
    reason: str
    named: tuple[str, ...]
    depth: int
    distance: int | None
    concept: str = ""
    specificity: int = 0


def score_strict(answer: str, doc: Mapping[str, Any], level: str, lexicon: Lexicon) -> StrictScore:
    """Judge an answer to the question of `level` about a task document."""
    if not answer.strip():
        return StrictScore(False, "empty", (), 0, None)
    asked = LEVELS.index(level) + 1
    reading = read_answer(answer, lexicon)
    if asked < FINE:
        for mention in reading.mentions:
            mention.name = lexicon.parts.get(mention.name, mention.name)
    asserted = _asserted(reading.mentions, asked)
    names = [mention for mention in asserted if not mention.is_year]
    named = tuple(dict.fromkeys(mention.phrase for mention in asserted or reading.mentions))
    if reason := _nothing_asserted(reading, names, asked):
        return StrictScore(False, reason, named, 0, None)
    sets = lexicon.true_sets(doc["superordinate"], tuple(doc["coarse"]), tuple(doc["fine"]))
    name = _common(names, asked, bool(lexicon.years)) or (_group(names, lexicon.group_names) if asked == COARSE else None)
    if name is None:
        union = frozenset().union(*(mention.name.kin or mention.name.denotes for mention in names))
        return _several(union, sets, lexicon, named)
    left_open = [mention for mention in reading.mentions if _leaves_open(mention, name, asked)]
    if left_open:
        return StrictScore(False, _unasserted(left_open), named, 0, None)
    if lexicon.years and FINE in name.levels:
        dated = _dated(name, [mention for mention in reading.mentions if mention.is_year])
        if dated is None:
            return _several(name.kin or name.denotes, sets, lexicon, named)
        name = dated
    return _judge(name, doc["concept_id"], asked, sets, named, name.denotes in lexicon.group_names)


def _asserted(mentions: Sequence[Mention], asked: int) -> list[Mention]:
    """The asserted names, with the tentative ones where those say nothing; without things of another kind in the picture."""
    found = [mention for mention in mentions if mention.status is Status.ASSERTED]
    says = min(asked, COARSE)
    if not any(max(mention.name.levels) >= says for mention in found):
        found = [mention for mention in mentions if mention.status in (Status.ASSERTED, Status.TENTATIVE)]
    if asked > SUPERORDINATE:
        deeper = [mention.name for mention in found if max(mention.name.levels) > SUPERORDINATE]
        found = [m for m in found if max(m.name.levels) != SUPERORDINATE or all(_meet(m.name, d) for d in deeper)]
    return found


def _nothing_asserted(reading: Reading, names: Sequence[Mention], asked: int) -> str:
    """The reason why an answer asserts nothing; empty if it asserts something."""
    if reading.abstains and all(max(mention.name.levels) < asked for mention in names):
        return "abstained"
    if all(mention.is_year for mention in reading.mentions):
        return "unknown_name"
    return "" if names else _unasserted(reading.mentions)


def _unasserted(mentions: Iterable[Mention]) -> str:
    statuses = {mention.status for mention in mentions}
    return next((reason for status, reason in _UNASSERTED if status in statuses), "hedged")


def _leaves_open(mention: Mention, name: Name, asked: int) -> bool:
    """Whether an alternative or a hybrid takes back what is asserted; "a gull, either X or Y" is a gull."""
    if mention.status is Status.ALTERNATIVE and asked < FINE and mention.name.denotes <= name.denotes:
        return False
    return mention.status is Status.HYBRID or (mention.status is Status.ALTERNATIVE and _meet(name, mention.name) != name)


def _common(mentions: Sequence[Mention], asked: int, strict_groups: bool) -> Name | None:
    """What all names have in common; else those in bold, or those of a first sentence that says little else."""
    groups = mentions if asked < FINE or strict_groups else _without_other_groups(mentions)
    for some in (groups, [m for m in groups if m.bold], [m for m in groups if m.lead]):
        name: Name | None = some[0].name if some else None
        for mention in some[1:]:
            name = _meet(name, mention.name) if name else None
        if name is not None:
            return name
    return None


def _group(mentions: Sequence[Mention], groups: Container[frozenset[str]]) -> Name | None:
    """The group that is named beside several of its members: "House Finch or Purple Finch, but a finch for sure"."""
    for mention in mentions:
        whole = mention.name.denotes
        if whole in groups and all((other.name.kin or other.name.denotes) <= whole for other in mentions):
            return mention.name
    return None


def _without_other_groups(mentions: Sequence[Mention]) -> Sequence[Mention]:
    """Leave out groups beside one fine name: "a Boston Terrier, a companion dog"."""
    fine = [mention for mention in mentions if FINE in mention.name.levels]
    if len({mention.name for mention in fine}) != 1:
        return mentions
    return [
        mention
        for mention in mentions
        if mention in fine or any(mention.end == one.start for one in fine) or _meet(mention.name, fine[0].name)
    ]


def _meet(a: Name, b: Name) -> Name | None:
    """What two names have in common: the narrower one, or nothing."""
    if a.denotes == b.denotes:
        return a if max(a.levels) >= max(b.levels) else b
    for one, other in ((a, b), (b, a)):
        if one.kin:
            return one if one.kin <= other.denotes and not other.kin else None
    both = a.denotes & b.denotes
    if not both:
        return None
    if both == a.denotes or both == b.denotes:
        return a if both == a.denotes else b
    return Name(both, frozenset([max(*a.levels, *b.levels)]))


def _dated(name: Name, years: Sequence[Mention]) -> Name | None:
    """A car's name with the year that is asserted; as general as its years where none is."""
    years = [year for year in years if year.status in (Status.ASSERTED, Status.TENTATIVE)]
    years = [year for year in years if year.attached] or years
    stated = {year.phrase: year.name.denotes for year in years}
    if len(stated) > 1:
        return None
    for denotes in stated.values():
        if name.kin:
            return name
        both = name.denotes & denotes
        return Name(both, name.levels) if both else Name(frozenset(["<year>"]), name.levels, name.denotes)
    return Name(name.denotes, frozenset([COARSE]), name.kin)


def _judge(
    name: Name, concept_id: str, asked: int, sets: Mapping[int, frozenset[str]], named: tuple[str, ...], a_group: bool
) -> StrictScore:
    """`a_group` says that the name is that of a whole group, which is right for every concept in it."""
    exact = FINE if FINE in name.levels and concept_id in name.denotes and name.denotes <= sets[FINE] else 0
    common = max(exact, _depth(name.kin or name.denotes, sets), COARSE if a_group and concept_id in name.denotes else 0)
    own = asked if asked in name.levels else max(name.levels)
    lowest = min(common, asked)
    distance = (asked - lowest) + max(0, min(own, asked) - lowest)
    concept = next(iter(name.denotes)) if FINE in name.levels and len(name.denotes) == 1 and not name.kin else ""
    # What holds the true concept is a part of its path; what does not leaves that path below what they have in common.
    specificity = common if concept_id in name.denotes else min(FINE, max(own, common + 1))
    right = False
    if concept_id in name.denotes or (name.kin and common >= asked):
        right = common >= asked
        reason = "right" if right else "too_general"
    else:
        reason = {COARSE: "wrong_sibling", SUPERORDINATE: "wrong_coarse"}.get(common, "wrong_superordinate")
    return StrictScore(right, reason, named, common, distance, concept, specificity)


def _several(
    union: frozenset[str], sets: Mapping[int, frozenset[str]], lexicon: Lexicon, named: tuple[str, ...]
) -> StrictScore:
    depth = _depth(union, sets)
    return StrictScore(False, "several", named, depth, None, specificity=max(depth, lexicon.common_level(union)))


def _depth(denotes: frozenset[str], sets: Mapping[int, frozenset[str]]) -> int:
    return max((k for k in (SUPERORDINATE, COARSE) if denotes <= sets[k]), default=YEAR)
