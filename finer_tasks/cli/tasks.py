"""`finer tasks`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from finer_tasks.cli.options import Commands, add_filter
from finer_tasks.cli.output import out, say

if TYPE_CHECKING:
    from finer_tasks.tasks.table import TaskInfo


_OVERVIEW = """\
{tasks} tasks, {groups} groups. A task is finer_DATASET_LEVEL_VARIANT: direct ones end at the level, lists of attributes
have none, as in finer_cub_fine, finer_cub_fine_attrseek and finer_cub_attributes. The direct tasks of one level are
the groups finer_superordinate, finer_coarse and finer_fine. --dataset, --level, --variant and --prepared list names."""


def add_tasks(commands: Commands) -> None:
    """Add the command to the parser."""
    tasks = commands.add_parser("tasks", help="list the tasks and whether their data are prepared")
    add_filter(tasks, "--dataset", "only tasks of these datasets")
    add_filter(tasks, "--level", "only tasks at these levels")
    add_filter(tasks, "--variant", "only tasks that ask in these ways, such as direct or attrseek")
    tasks.add_argument("--prepared", action="store_true", help="only tasks whose data are there")
    tasks.add_argument("--json", action="store_true", help="print the tasks as JSON")
    tasks.set_defaults(run=_tasks)


def _tasks(arguments: argparse.Namespace) -> None:
    from finer_tasks.datasets.places import own_names
    from finer_tasks.tasks.listing import chosen_tasks, data_states
    from finer_tasks.tasks.own import of_another_version

    states = data_states()
    tasks = chosen_tasks(arguments.dataset, arguments.level, arguments.variant, arguments.prepared)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(task) | {"data": states[task.dataset]} for task in tasks], indent=2))
        return
    if arguments.dataset or arguments.level or arguments.variant or arguments.prepared:
        _print_names(tasks, states)
    else:
        _print_overview(tasks, states)
    shown = {task.dataset for task in tasks}
    for told in (of_another_version(name) for name in own_names() if name in shown):
        if told:
            say(told)


def _print_names(tasks: Sequence[TaskInfo], states: Mapping[str, str]) -> None:
    if not tasks:
        say("no task fits all of these filters; `finer tasks` shows which levels each variant has and which data are there")
        return
    table = Table("task", "level", "variant", "parent", "data")
    for task in tasks:
        table.add_row(task.name, task.level, task.way, task.parent, states[task.dataset])
    out.print(table)
    say(f"{len(tasks)} tasks")


def _print_overview(tasks: Sequence[TaskInfo], states: Mapping[str, str]) -> None:
    """Datasets and ways of asking apart: every task is one of each."""
    from finer_tasks.tasks.table import DIRECT, VARIANTS, list_groups

    datasets = Table("dataset", "data", "group of its direct tasks")
    for name, state in states.items():
        datasets.add_row(name, state, f"finer_{name}")
    out.print(datasets)
    variants = Table("variant", "levels", "group", "what is asked")
    for variant in VARIANTS:
        group = "finer" if variant is DIRECT else f"finer_{variant.name}"
        levels = ", ".join(variant.levels)
        what = variant.note.format(level=" or ".join(levels.rsplit(", ", 1)))
        variants.add_row(variant.name, "\n".join(variant.levels), group, what)
    out.print(variants)
    for line in _OVERVIEW.format(tasks=len(tasks), groups=len(list_groups())).splitlines():
        say(line)
