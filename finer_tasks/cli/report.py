"""`finer report`."""

from __future__ import annotations

import argparse

from finer_tasks.cli.options import Commands, add_output, add_runs
from finer_tasks.cli.output import say


def add_report(commands: Commands) -> None:
    """Add the command to the parser."""
    report = commands.add_parser(
        "report", help="one HTML file of one or several runs, or of an experiment's folder, to show and to look through"
    )
    add_runs(report)
    add_output(report, "FILE")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> None:
    from finer_tasks.report.page import write_report
    from finer_tasks.runs.outputs import not_read
    from finer_tasks.runs.reading import read_run, runs_below

    runs = [read_run(path) for folder in arguments.run_folders for path in runs_below(folder)]
    write_report(runs, not_read(arguments.output, *arguments.run_folders))
    say(f"written {arguments.output}")
