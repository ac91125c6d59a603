"""`finer compare-backends`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finer_tasks.cli.options import Commands, add_names, natural
from finer_tasks.cli.output import out

if TYPE_CHECKING:
    from finer_tasks.backends.comparison import BackendComparison

_SHOWN = 5


def add_compare_backends(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "compare-backends", help="two runs of the same questions by different backends: which documents differ, and why"
    )
    command.add_argument("a", type=Path, metavar="A", help="a run of lmms-eval")
    command.add_argument("b", type=Path, metavar="B", help="another run of the same tasks")
    add_names(command, "--allow", "differences to compare across: weights, prompts, …, request_failed")
    command.add_argument("--tokenizer", metavar="MODEL", help="tell the first token that differs, not the first word")
    command.add_argument(
        "--documents", type=natural, default=_SHOWN, metavar="N", help=f"show so many differing documents (default {_SHOWN})"
    )
    command.add_argument("--json", action="store_true", help="all differing documents, as JSON")
    command.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    from finer_tasks.backends.comparison import compare_backends
    from finer_tasks.backends.display import print_comparison
    from finer_tasks.runs.reading import read_run
    from finer_tasks.writing import as_json

    reader = None
    if arguments.tokenizer:
        from finer_tasks.backends.tokens import Tokens

        reader = Tokens(arguments.tokenizer)
    found = compare_backends(read_run(arguments.a), read_run(arguments.b), arguments.allow, reader=reader)
    if arguments.json:
        print(as_json(_document(found)))
    else:
        print_comparison(found, out, arguments.documents)


def _document(found: BackendComparison) -> dict[str, Any]:
    runs = {name: {"run": str(run.path), "model": run.model} for name, run in (("a", found.a), ("b", found.b))}
    tasks = [dataclasses.asdict(task) for task in found.tasks]
    return runs | {"tasks": tasks, "not_compared": list(found.not_compared)}
