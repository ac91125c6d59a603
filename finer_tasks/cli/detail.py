"""`finer detail`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from finer_tasks.cli.options import Commands, add_names
from finer_tasks.cli.output import out, written


def add_detail(commands: Commands) -> None:
    """Add the command to the parser."""
    detail = commands.add_parser("detail", help="whether more detail in the attributes helps, by category of object")
    detail.add_argument(
        "labelled_runs", nargs="+", type=_labelled, metavar="NAME=RUN", help="runs with what to call them, least detailed first"
    )
    add_names(detail, "--allow", "what may differ between runs besides model, prompts and attributes")
    detail.add_argument("--plots", type=Path, metavar="DIR", help="write PNG and SVG plots")
    detail.add_argument("--json", action="store_true")
    detail.set_defaults(run=_detail)


def _labelled(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name.strip() and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=RUN, as in basic=out/basic")
    return name.strip(), Path(path)


def _detail(arguments: argparse.Namespace) -> None:
    from finer_tasks.detail.comparison import Labelled, compare_details
    from finer_tasks.detail.display import print_details
    from finer_tasks.runs.reading import read_run
    from finer_tasks.writing import as_json

    runs = [Labelled(name, read_run(path)) for name, path in arguments.labelled_runs]
    found = compare_details(runs, arguments.allow)
    if arguments.json:
        print(as_json([dataclasses.asdict(one) for one in found]))
    else:
        print_details(found, out)
    if arguments.plots:
        from finer_tasks.detail.plots import plot_details

        written(plot_details(found, arguments.plots))
