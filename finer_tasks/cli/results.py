"""`finer results`."""

from __future__ import annotations

import argparse
import dataclasses
import re

from finer_tasks.cli.options import Commands, add_run
from finer_tasks.cli.output import out, say


def add_results(commands: Commands) -> None:
    """Add the command to the parser."""
    results = commands.add_parser("results", help="table of a run that lmms-eval wrote with --output_path and --log_samples")
    add_run(results)
    results.add_argument("--reasons", action="store_true", help="also how the strict scorer read the answers")
    results.add_argument(
        "--disagreements", type=int, nargs="?", const=20, metavar="N", help="documents on which em and em_strict differ"
    )
    results.add_argument(
        "--bertscore", type=_bertscore_model, metavar="MODEL[:LAYERS]", help="BERTScore of attribute lists with this model"
    )
    results.add_argument("--rescore", action="store_true", help="score the logged answers again with this version")
    results.add_argument("--json", action="store_true")
    results.set_defaults(run=_results)


def _results(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.display import print_disagreements, print_summary
    from finer_tasks.runs.paths import answer_rows, path_rows
    from finer_tasks.runs.reading import read_run
    from finer_tasks.runs.summary import attribute_rows, consistencies, rows
    from finer_tasks.writing import as_json

    run = read_run(arguments.run_folder, unscored=arguments.rescore)
    if arguments.rescore:
        from finer_tasks.runs.rescore import rescore

        run = rescore(run)
    if arguments.json:
        document = {
            "run": str(run.path),
            "model": run.model,
            "tasks": {task.name: dict(task.identity) | {"generation": dict(task.generation)} for task in run.tasks},
            "rows": [dataclasses.asdict(row) for row in rows(run)],
            "attribute_rows": [dataclasses.asdict(row) for row in attribute_rows(run)],
            "consistency": [dataclasses.asdict(item) for item in consistencies(run)],
            "paths": [dataclasses.asdict(row) for row in path_rows(run)],
            "answers": [dataclasses.asdict(row) for row in answer_rows(run)],
        }
        print(as_json(document))
        return
    print_summary(run, out, with_reasons=arguments.reasons)
    if arguments.disagreements is not None:
        print_disagreements(run, out, arguments.disagreements)
    if arguments.bertscore:
        from finer_tasks.runs.bertscore import bertscore

        for task, value in bertscore(run, *arguments.bertscore).items():
            say(f"{task}: BERTScore F1 {value:.3f} ({':'.join(map(str, filter(None, arguments.bertscore)))})")


def _bertscore_model(text: str) -> tuple[str, int | None]:
    """The model, a name or path, and the number of layers; a colon before anything but a number is part of a path."""
    model, _, layers = text.rpartition(":")
    return (model, int(layers)) if model and re.fullmatch(r"[0-9]{1,3}", layers) else (text, None)
