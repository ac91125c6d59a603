"""The `finer` command: parses arguments, calls, prints. No logic of its own."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import entry_points

import finer_tasks
from finer_tasks.cli.attributes import add_attributes
from finer_tasks.cli.backends import add_compare_backends
from finer_tasks.cli.copies import add_fingerprint
from finer_tasks.cli.datasets import add_doctor, add_prepare
from finer_tasks.cli.detail import add_detail
from finer_tasks.cli.diagnose import add_diagnose
from finer_tasks.cli.exchange import add_export, add_import
from finer_tasks.cli.gap import add_gap
from finer_tasks.cli.gate import add_gate
from finer_tasks.cli.negatives import add_negatives
from finer_tasks.cli.options import with_dashes
from finer_tasks.cli.own import add_dataset
from finer_tasks.cli.probe import add_probe
from finer_tasks.cli.report import add_report
from finer_tasks.cli.results import add_results
from finer_tasks.cli.retention import add_retention
from finer_tasks.cli.robust import add_robust
from finer_tasks.cli.submission import add_leaderboard, add_submit
from finer_tasks.cli.tasks import add_tasks
from finer_tasks.errors import exit_code_of


def main(argv: list[str] | None = None) -> int:
    """Run the command; errors are printed without a traceback and give exit code 2, or 70 where nobody foresaw them."""
    arguments = parse_arguments(argv)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("finer: interrupted; what was in use before is unchanged", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return exit_code_of(error)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Arguments; key=value pairs of a recipe may stand before or after the options, which argparse alone does not allow."""
    parser = parser_of_all_commands()
    arguments, rest = parser.parse_known_args(with_dashes(sys.argv[1:] if argv is None else argv))
    if rest and hasattr(arguments, "overrides") and not any(word.startswith("-") for word in rest):
        arguments.overrides += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def parser_of_all_commands() -> argparse.ArgumentParser:
    """The commands of this package, and those that others add through the entry points `finer.commands`."""
    parser = argparse.ArgumentParser(prog="finer", description="Data, tasks and results of FINER, a plugin of lmms-eval.")
    parser.add_argument("--version", action="version", version=f"finer-tasks {finer_tasks.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_prepare, add_doctor, add_dataset,
        add_tasks, add_results, add_attributes, add_gap, add_robust, add_detail, add_gate, add_submit,
        add_leaderboard, add_report, add_export, add_retention, add_probe, add_diagnose,
        add_fingerprint, add_compare_backends, add_import, add_negatives,
    ):  # fmt: skip
        add(commands)
    for extension in entry_points(group="finer.commands"):
        extension.load()(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
