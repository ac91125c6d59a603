"""`finer diagnose`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import (
    Commands,
    add_filter,
    add_loading,
    add_names,
    add_output,
    add_runs,
    loading,
    natural,
    positive,
)
from finer_tasks.cli.output import out, written

if TYPE_CHECKING:
    from finer_tasks.diagnose.evidence import Evidence


def add_diagnose(commands: Commands) -> None:
    """Add the command to the parser."""
    diagnose = commands.add_parser("diagnose", help="where a model fails: encoder, projector or language model, by concept")
    add_runs(diagnose, "*")
    diagnose.add_argument("--probe", type=Path, metavar="DIR", help="with runs: what `finer probe --output` wrote")
    add_loading(diagnose, "without runs: run what is missing with this model")
    diagnose.add_argument("--dataset")
    add_output(diagnose, "DIR", "the page, the picture and the figures; of a call with --pretrained, all that it has run")
    add_filter(diagnose, "--levels", "superordinate, coarse, fine (default: coarse and fine)")
    diagnose.add_argument("--per-concept", type=positive, metavar="N", help="probes are fitted on so many images of each")
    diagnose.add_argument("--limit", type=positive, help="only so many documents of each task")
    diagnose.add_argument("--batch-size", default="auto")
    diagnose.add_argument("--seed", type=natural, default=0)
    add_names(diagnose, "--allow", "what may differ between runs")
    diagnose.add_argument("--json", action="store_true")
    diagnose.set_defaults(run=_diagnose)


def _diagnose(arguments: argparse.Namespace) -> None:
    from finer_tasks.diagnose.diagnosis import diagnose
    from finer_tasks.diagnose.display import print_diagnoses
    from finer_tasks.diagnose.writing import as_document, write_diagnosis
    from finer_tasks.writing import as_json, locked

    with locked(arguments.output):
        model, evidence = _evidence(arguments)
        found = [diagnose(one) for one in evidence]
        files = write_diagnosis(model, found, arguments.output)
    if arguments.json:
        print(as_json(as_document(model, found)))
    else:
        print_diagnoses(found, out)
    written(files)


def _evidence(arguments: argparse.Namespace) -> tuple[str, list[Evidence]]:
    from finer_tasks.diagnose.joining import join
    from finer_tasks.errors import ResultsError
    from finer_tasks.runs.reading import read_run

    if bool(arguments.pretrained) == bool(arguments.run_folders):
        raise ResultsError("give either result folders, or --pretrained and --dataset to run what is needed")
    if arguments.run_folders:
        runs = [read_run(folder) for folder in arguments.run_folders]
        return runs[0].model, join(runs, arguments.probe, arguments.allow)
    if not arguments.dataset or arguments.probe:
        raise ResultsError("--pretrained needs --dataset, and makes its own probe: leave out --probe")
    from finer_tasks.diagnose.running import ordered, run_missing
    from finer_tasks.probe.running import Wanted

    wanted = Wanted(
        arguments.dataset, levels=ordered(arguments.levels), probes=("linear",), per_concept=arguments.per_concept,
        limit=arguments.limit, batch_size=arguments.batch_size, seed=arguments.seed,
    )  # fmt: skip
    runs, probe = run_missing(loading(arguments), wanted, arguments.output)
    return runs[0].model, join(runs, probe, arguments.allow)
