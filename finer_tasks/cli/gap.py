"""`finer gap`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from finer_tasks.cli.output import out, without_nan


def add_gap(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    gap = commands.add_parser("gap", help="the modality gap: text against image on the same documents")
    gap.add_argument("results", type=Path, nargs="*", help="folders that lmms-eval wrote with --output_path and --log_samples")
    gap.add_argument("--model", help="run the arms through lmms-eval first, with this model")
    gap.add_argument("--model_args", default="")
    gap.add_argument("--tasks", default="finer_mini_fine", help="direct coarse or fine tasks, joined by commas")
    gap.add_argument("--batch_size", default="1")
    gap.add_argument("--limit", help="documents a task")
    gap.add_argument("--allow", default="", metavar="NAMES", help="what may differ between arms, joined by commas")
    gap.add_argument("--plots", type=Path, metavar="DIR", help="write PNG and SVG plots")
    gap.add_argument("--json", action="store_true")
    gap.set_defaults(run=_gap)


def _gap(arguments: argparse.Namespace) -> None:
    from finer_tasks.errors import ResultsError
    from finer_tasks.gap.comparison import gaps
    from finer_tasks.gap.display import print_gaps
    from finer_tasks.runs.evaluate import evaluate_arms
    from finer_tasks.runs.reading import read_run

    folders = list(arguments.results)
    if arguments.model:
        folders.append(
            evaluate_arms(arguments.model, arguments.model_args, arguments.tasks, arguments.batch_size, arguments.limit)
        )
    if not folders:
        raise ResultsError("give result folders, or --model, --model_args and --tasks to run the evaluations first")
    allow = [name.strip() for name in arguments.allow.split(",") if name.strip()]
    found = gaps([read_run(folder) for folder in folders], allow)
    if arguments.json:
        print(json.dumps(without_nan([dataclasses.asdict(gap) for gap in found]), indent=2))
    else:
        print_gaps(found, out)
    if arguments.plots:
        from finer_tasks.gap.plots import plot_gaps

        for path in plot_gaps(found, arguments.plots):
            print(f"written {path}", file=sys.stderr)
