"""Parts of a run that several machines made with lmms-eval's --limit and --offset: are they of one run, and all of it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.seen import published_fingerprint
from finer_tasks.errors import ChangedDataError, NotPreparedError, ResultsError
from finer_tasks.runs.allowing import check_allowed
from finer_tasks.runs.comparing import Conditions, Side, decoding, of_identity
from finer_tasks.text import harmless, shortened

# What must agree between the shards of a task, by the name under which a message tells it.
CONDITIONS: Conditions = {
    "model": lambda side: side[0].model,
    "weights": of_identity("weights"),
    "question": of_identity("dataset", "level", "variant", "parent", "rounds"),
    "prompts": of_identity("prompt_set", "prompt_hash"),
    "choices": of_identity("choices"),
    "data": lambda side: (*of_identity("data_fingerprint", "data_source", "data_partial")(side), side[1].of),
    "taxonomy": of_identity("taxonomy"),
    "attributes": of_identity("attributes_fingerprint", "similarity"),
    "scoring": of_identity("scoring", "scorer"),
    "decoding": lambda side: (decoding(side), side[0].settings.get("gen_kwargs") or ""),
    "seed": lambda side: side[0].settings.get("random_seed"),
    "backend": of_identity("backend"),
    "versions": lambda side: (
        *of_identity("finer_version", "versions")(side),
        side[0].settings.get("lmms_eval_version"),
    ),
    "batch_size": lambda side: str(side[0].settings.get("batch_size")),
    "machine": of_identity("machine"),
}
# Those by which greedy answers differ in rounding at most: they may be allowed to differ, and are told.
MAY_DIFFER = ("versions", "batch_size", "machine")
_SHOWN = 5


@dataclass(frozen=True)
class Whole:
    """The shards of a task, which have every document of its split once.

    Attributes:
        sides: the runs with their part of the task.
        differing: what differs between them and is allowed to, with the values found.
        compared: whether the ids were compared with the prepared data, which are here.
    """

    name: str
    sides: tuple[Side, ...]
    differing: Mapping[str, tuple[Any, ...]]
    compared: bool


def whole_tasks(sides: Sequence[Side], allow: Collection[str] = ()) -> list[Whole]:
    """The tasks of some shards, in the order in which they come first.

    Raises ResultsError for a task of which two shards were made unlike, share a document, or leave one out.
    """
    check_allowed(allow, MAY_DIFFER)
    by_task: dict[str, list[Side]] = {}
    for side in sides:
        by_task.setdefault(side[1].name, []).append(side)
    return [_whole(name, found, allow) for name, found in by_task.items()]


def _whole(name: str, sides: list[Side], allow: Collection[str]) -> Whole:
    differing = _differing(name, sides, allow)
    _require_each_once(name, sides)
    return Whole(name, tuple(sides), differing, _is_prepared_split(name, sides))


def _differing(name: str, sides: Sequence[Side], allow: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """What the shards may differ in and do; raises ResultsError with all that they may not differ in."""
    first, found, refused = sides[0], {}, []
    for condition, read in CONDITIONS.items():
        values = _distinct(read(side) for side in sides)
        if len(values) == 1:
            continue
        if condition in allow:
            found[condition] = tuple(values)
            continue
        other = next(side for side in sides if read(side) != read(first))
        told = _difference(read(first), read(other))
        refused.append(f"{condition} ({told}; {first[0].path} and {other[0].path})")
    if refused:
        mendable = [refusal.split(" ", 1)[0] for refusal in refused]
        rest = f", or take it as it is with --allow {','.join(mendable)}" if set(mendable) <= set(MAY_DIFFER) else ""
        raise ResultsError(
            f"{name}: the shards are not of one run. They differ in {'; '.join(refused)}. Evaluate all shards alike{rest}"
        )
    return found


def _difference(value: Any, other: Any) -> str:
    """Two unequal values in short: of mappings and tuples only what differs."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        keys = [key for key in {**value, **other} if value.get(key) != other.get(key)]
        return ", ".join(f"{key} {shortened(value.get(key))} and {shortened(other.get(key))}" for key in keys)
    if isinstance(value, tuple) and isinstance(other, tuple) and len(value) == len(other):
        return ", ".join(_difference(mine, its) for mine, its in zip(value, other, strict=True) if mine != its)
    return f"{shortened(value)} and {shortened(other)}"


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _require_each_once(name: str, sides: Sequence[Side]) -> None:
    """Raise ResultsError unless the shards have the documents 0 to n - 1 of the split, each once, and no image twice."""
    owner: dict[int, Side] = {}
    for side in sides:
        numbers = [_number(side, sample.number) for sample in side[1].samples]
        if shared := [number for number in numbers if number in owner]:
            raise ResultsError(
                f"{name}: {side[0].path} and {owner[shared[0]][0].path} share {len(shared)} documents, "
                f"{spans(shared)}. Give each shard once, and other --offset and --limit to each"
            )
        owner |= dict.fromkeys(numbers, side)
    if lacking := sorted(set(range(sides[0][1].of)) - owner.keys()):
        again = " and ".join(f"--offset {first} --limit {last - first + 1}" for first, last in _runs_of(lacking)[:_SHOWN])
        raise ResultsError(
            f"{name}: {len(lacking)} of {sides[0][1].of} documents are in no shard, {spans(lacking)}. "
            f"Run lmms-eval for them as for the others, with {again}"
        )
    counted = Counter(str(sample.record["id"]) for _, task in sides for sample in task.samples)
    if twice := sorted(document for document, count in counted.items() if count > 1):
        raise ResultsError(f"{name}: {twice[0]} is in two shards under different numbers: they are not of the same data")


def _number(side: Side, number: int | None) -> int:
    if number is None or number >= side[1].of:
        raise ResultsError(
            f"{side[0].path}: a sample of {side[1].name} has the doc_id {number}, and its split has documents 0 to "
            f"{side[1].of - 1}. The file is damaged; run this shard again"
        )
    return number


def spans(numbers: Collection[int]) -> str:
    """Numbers in short: 0–9, 12, 20–29."""
    found = [f"{first}" if first == last else f"{first}–{last}" for first, last in _runs_of(sorted(numbers))]
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more spans" if len(found) > _SHOWN else "")


def _runs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last of each run of consecutive numbers."""
    return list(_consecutive(numbers))


def _consecutive(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield numbers[start], numbers[place - 1]
            start = place


def _is_prepared_split(name: str, sides: Sequence[Side]) -> bool:
    """Whether the data of the run are prepared here; then raises ResultsError where a document is not the one of its number."""
    identity = sides[0][1].identity
    try:
        prepared = load_prepared(str(identity["dataset"]))
    except (NotPreparedError, ChangedDataError):
        return False
    if prepared.manifest.contents.get("test") != published_fingerprint(identity):
        return False
    ids = prepared.tables()["test"]["id"]
    if len(ids) != sides[0][1].of:
        raise ResultsError(f"{name}: the shards are of {sides[0][1].of} documents, the prepared split has {len(ids)}")
    known = list(ids)
    for run, task in sides:
        for sample in task.samples:
            if sample.number is not None and known[sample.number] != sample.record["id"]:
                raise ResultsError(
                    f"{run.path}: document {sample.number} of {name} is {harmless(str(sample.record['id']))}, in the prepared "
                    f"split it is {known[sample.number]}. The shard is of other data; run it again"
                )
    return True
