"""The task YAMLs: complete, short, named by the rule, and each loadable by lmms-eval."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finer_tasks.datasets.taxonomy import DATASETS
from finer_tasks.tasks.listing import list_groups, list_tasks, load_yaml, task_files

SIX = ("cub", "aircraft", "dogs", "cars", "nabirds", "inat")
LEVELS = ("superordinate", "coarse", "fine")


def test_all_direct_and_parent_tasks_are_there() -> None:
    names = {task.name for task in list_tasks()}
    direct = {f"finer_{dataset}_{level}" for dataset in DATASETS for level in LEVELS}
    parents = {f"finer_{d}_{level}_parent_{p}" for d in DATASETS for level in ("coarse", "fine") for p in ("none", "predicted")}
    assert direct | parents <= names


VARIANTS = ("attrseek", "attrseek1", "cot", "cot_fewshot", "text", "both", "parent_only")
LISTS = ("attributes", "attributes_text")


def test_all_variants_are_there() -> None:
    names = {task.name for task in list_tasks()}
    assert {f"finer_{d}_{level}_{v}" for d in DATASETS for level in ("coarse", "fine") for v in VARIANTS} <= names
    assert {f"finer_{d}_{v}" for d in DATASETS for v in LISTS} <= names


def test_names_say_what_the_task_is() -> None:
    for task in list_tasks():
        default = "none" if task.level == "superordinate" else "gold"
        suffix = "" if task.variant == "direct" else f"_{task.variant}"
        suffix += "" if task.parent == default else f"_parent_{task.parent}"
        level = "" if task.variant in LISTS else f"_{task.level}"
        assert task.name == f"finer_{task.dataset}{level}{suffix}"


def test_files_lie_where_their_names_say_and_stay_short() -> None:
    for path in task_files():
        config = load_yaml(path)
        name = config["group"] if "group" in config else config["task"]
        assert path.stem == name
        if isinstance(config["task"], str):
            assert path.parent.name == config["dataset_path"]
            assert len(path.read_text().splitlines()) <= 8


def leaves(name: str, groups: dict[str, list[str]]) -> Iterator[str]:
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
        ("finer_attrseek", {f"finer_{d}_{level}_attrseek" for d in SIX for level in ("coarse", "fine")}),
        ("finer_text", {f"finer_{d}_{level}_text" for d in SIX for level in ("coarse", "fine")}),
        ("finer_attributes", {f"finer_{d}_attributes" for d in SIX}),
        ("finer_parent_none", {f"finer_{d}_{level}_parent_none" for d in SIX for level in ("coarse", "fine")}),
        ("finer_parent_predicted", {f"finer_{d}_{level}_parent_predicted" for d in SIX for level in ("coarse", "fine")}),
    ],
)
def test_groups_hold_what_they_promise(group: str, members: set[str]) -> None:
    found = list(leaves(group, list_groups()))
    assert sorted(found) == sorted(members)


def test_every_member_of_a_group_exists() -> None:
    groups, names = list_groups(), {task.name for task in list_tasks()}
    for group in groups:
        assert set(leaves(group, groups)) <= names
