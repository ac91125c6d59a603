"""`finer robust`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from finer_tasks.cli.options import Commands, add_names, add_runs, natural, positive
from finer_tasks.cli.output import out, written

_TASK, _PERTURBATION = "finer_mini_fine", "occlusion"


def add_robust(commands: Commands) -> None:
    """Add the command to the parser."""
    robust = commands.add_parser("robust", help="scores against the severity of a perturbation of the images")
    add_runs(robust, "*")
    robust.add_argument("--model", help="evaluate the severities through lmms-eval first, with this model")
    robust.add_argument("--model-args", default="")
    add_names(robust, "--tasks", f"direct tasks, AttrSeek is run with them (default {_TASK})")
    add_names(robust, "--perturb", f"perturbations (default {_PERTURBATION})")
    add_names(robust, "--severities", "numbers from 1 to 5 (default all)", "NUMBERS")
    robust.add_argument("--seed", type=natural, default=0, help="chooses the places that are perturbed")
    robust.add_argument(
        "--runs", type=Path, metavar="DIR", help="where the evaluations are kept; those that are there are not redone"
    )
    robust.add_argument("--batch-size", default="1")
    robust.add_argument("--limit", type=positive, help="only so many documents of each task")
    add_names(robust, "--allow", "what may differ between runs")
    robust.add_argument("--plots", type=Path, metavar="DIR", help="write PNG and SVG plots")
    robust.add_argument("--json", action="store_true")
    robust.set_defaults(run=_robust)


def _robust(arguments: argparse.Namespace) -> None:
    from finer_tasks.errors import ResultsError
    from finer_tasks.robust.curves import robustness
    from finer_tasks.robust.display import print_robustness
    from finer_tasks.robust.evaluate import Request, evaluate_severities, perturbations_of
    from finer_tasks.runs.reading import read_run
    from finer_tasks.writing import as_json

    folders = list(arguments.run_folders)
    if arguments.model:
        if not arguments.runs:
            raise ResultsError("--model needs --runs DIR, where the evaluations are kept")
        perturbations = perturbations_of(arguments.perturb or [_PERTURBATION], arguments.severities, arguments.seed)
        tasks = tuple(arguments.tasks or [_TASK])
        request = Request(arguments.model, arguments.model_args, tasks, perturbations, arguments.batch_size, arguments.limit)
        folders += evaluate_severities(request, arguments.runs)
    if not folders:
        raise ResultsError("give result folders, or --model, --model-args, --tasks and --runs to run the evaluations first")
    found = robustness([read_run(folder) for folder in folders], arguments.allow)
    if arguments.json:
        print(as_json([dataclasses.asdict(one) for one in found]))
    else:
        print_robustness(found, out)
    if arguments.plots:
        from finer_tasks.robust.plots import plot_robustness

        written(plot_robustness(found, arguments.plots))
