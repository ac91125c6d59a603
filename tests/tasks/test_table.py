"""The table of tasks: complete, named by the rule, in groups that hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from finer_tasks.datasets.registry import DATASETS
from finer_tasks.tasks import versions
from finer_tasks.tasks.table import list_groups, list_tasks
from finer_tasks.tasks.versions import CHANGES, history, version_of

SIX = ("cub", "aircraft", "dogs", "cars", "nabirds", "inat")
LEVELS = ("superordinate", "coarse", "fine")
WAYS = ("attrseek", "attrseek1", "cot", "cot_fewshot", "text", "both", "parent_only", "parent_none", "parent_predicted")
LISTS = ("attributes", "attributes_text")
EVERYWHERE = ("closed", "abstain")
# Those that tell no parent, and their names no such thing.
WITHOUT_PARENT = ("abstain_names", "yesno", "mc", "mc_likelihood")


def test_all_tasks_are_there_and_no_other() -> None:
    direct = {f"finer_{dataset}_{level}" for dataset in DATASETS for level in LEVELS}
    ways = {
        f"finer_{dataset}_{level}_{way}"
        for dataset in DATASETS
        for level in ("coarse", "fine")
        for way in WAYS + WITHOUT_PARENT
    }
    lists = {f"finer_{dataset}_{way}" for dataset in DATASETS for way in LISTS}
    closed = {f"{name}_{way}" for name in direct for way in EVERYWHERE}
    assert {task.name for task in list_tasks()} == direct | ways | lists | closed
    assert len(list_tasks()) == 37 * len(DATASETS)


def test_names_say_what_the_task_is() -> None:
    for task in list_tasks():
        default = "none" if task.level == "superordinate" or task.variant in WITHOUT_PARENT else "gold"
        suffix = "" if task.variant == "direct" else f"_{task.variant}"
        suffix += "" if task.parent == default else f"_parent_{task.parent}"
        level = "" if task.variant in LISTS else f"_{task.level}"
        assert task.name == f"finer_{task.dataset}{level}{suffix}"
        assert task.way == (suffix.removeprefix("_") or "direct")


def leaves(name: str, groups: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if name in groups:
        for member in groups[name]:
            yield from leaves(member, groups)
    else:
        yield name


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("finer", {f"finer_{d}_{level}" for d in SIX for level in LEVELS}),
        ("finer_fine", {f"finer_{d}_fine" for d in SIX}),
        ("finer_cub", {f"finer_cub_{level}" for level in LEVELS}),
        ("finer_mini", {f"finer_mini_{level}" for level in LEVELS}),
        ("finer_attributes", {f"finer_{d}_attributes" for d in SIX}),
        *((f"finer_{way}", {f"finer_{d}_{level}_{way}" for d in SIX for level in ("coarse", "fine")}) for way in WAYS),
    ],
)
def test_groups_hold_what_they_promise(group: str, members: set[str]) -> None:
    found = list(leaves(group, list_groups()))
    assert sorted(found) == sorted(members)


def test_every_member_of_a_group_exists() -> None:
    groups, names = list_groups(), {task.name for task in list_tasks()}
    for group in groups:
        assert set(leaves(group, groups)) <= names


def test_versions_count_the_releases_that_changed_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {task.version for task in list_tasks()} == {2.0}
    later = replace(CHANGES[0], release="0.9.0", datasets=("cars",))
    twice = replace(later, reason="Another reason of the same release.")
    monkeypatch.setattr(versions, "CHANGES", (later, twice, *CHANGES))
    assert (version_of("cars", lists=False), version_of("cars", lists=True), version_of("cub", lists=False)) == (3.0, 2.0, 2.0)
    latest, before = history("cars")
    assert (latest.release, latest.names, latest.lists, len(latest.reasons)) == ("0.9.0", 3.0, 2.0, 2)
    assert (before.release, before.names, before.lists) == ("0.2.0", 2.0, 2.0)
