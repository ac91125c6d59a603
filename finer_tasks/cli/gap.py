"""`finer gap`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from finer_tasks.cli.options import Commands, add_names, add_runs, positive
from finer_tasks.cli.output import out, written

_TASK = "finer_mini_fine"


def add_gap(commands: Commands) -> None:
    """Add the command to the parser."""
    gap = commands.add_parser("gap", help="the modality gap: text against image on the same documents")
    add_runs(gap, "*")
    gap.add_argument("--model", help="run the arms through lmms-eval first, with this model")
    gap.add_argument("--model-args", default="")
    add_names(gap, "--tasks", f"direct coarse or fine tasks (default {_TASK})")
    gap.add_argument("--batch-size", default="1")
    gap.add_argument("--limit", type=positive, help="only so many documents of each task")
    add_names(gap, "--allow", "what may differ between arms")
    gap.add_argument("--plots", type=Path, metavar="DIR", help="write PNG and SVG plots")
    gap.add_argument("--json", action="store_true")
    gap.set_defaults(run=_gap)


def _gap(arguments: argparse.Namespace) -> None:
    from finer_tasks.errors import ResultsError
    from finer_tasks.gap.comparison import gaps
    from finer_tasks.gap.display import print_gaps
    from finer_tasks.runs.evaluate import evaluate_arms
    from finer_tasks.runs.reading import read_run
    from finer_tasks.writing import as_json

    folders, tasks = list(arguments.run_folders), arguments.tasks or [_TASK]
    if arguments.model:
        folders.append(evaluate_arms(arguments.model, arguments.model_args, tasks, arguments.batch_size, arguments.limit))
    if not folders:
        raise ResultsError("give result folders, or --model, --model-args and --tasks to run the evaluations first")
    found = gaps([read_run(folder) for folder in folders], arguments.allow)
    if arguments.json:
        print(as_json([dataclasses.asdict(gap) for gap in found]))
    else:
        print_gaps(found, out)
    if arguments.plots:
        from finer_tasks.gap.plots import plot_gaps

        written(plot_gaps(found, arguments.plots))
