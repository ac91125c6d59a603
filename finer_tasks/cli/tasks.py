"""`finer tasks`."""

from __future__ import annotations

import argparse
import dataclasses
import json

from rich.table import Table

from finer_tasks.cli.options import Commands
from finer_tasks.cli.output import out, say
from finer_tasks.datasets.taxonomy import DATASETS


def add_tasks(commands: Commands) -> None:
    """Add the command to the parser."""
    tasks = commands.add_parser("tasks", help="list all tasks and whether their data are prepared")
    tasks.add_argument("--json", action="store_true")
    tasks.set_defaults(run=_tasks)


def _tasks(arguments: argparse.Namespace) -> None:
    from finer_tasks.tasks.listing import data_state, list_groups, list_tasks

    states = {name: data_state(name) for name in DATASETS}
    tasks = list_tasks()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(task) | {"data": states[task.dataset]} for task in tasks], indent=2))
        return
    table = Table("task", "dataset", "level", "variant", "parent", "data")
    for task in tasks:
        table.add_row(task.name, task.dataset, task.level, task.variant, task.parent, states[task.dataset])
    out.print(table)
    for name, members in list_groups().items():
        say(f"{name}: {', '.join(members)}")
