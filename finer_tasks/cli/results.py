"""`finer results`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import Commands, add_names, add_runs, positive
from finer_tasks.cli.output import out, say, written

if TYPE_CHECKING:
    from finer_tasks.runs.judging import JudgeRow
    from finer_tasks.runs.reading import Run


def add_results(commands: Commands) -> None:
    """Add the command to the parser."""
    results = commands.add_parser("results", help="table of a run that lmms-eval wrote with --output_path and --log_samples")
    add_runs(results)
    results.add_argument(
        "--merge", type=Path, metavar="DIR", help="put the shards of a run together as one in a new folder; RUN may be many"
    )
    add_names(results, "--allow", "what may differ between shards: versions, batch_size, machine")
    results.add_argument("--reasons", action="store_true", help="also how the strict scorer read the answers")
    results.add_argument(
        "--disagreements", type=int, nargs="?", const=20, metavar="N", help="documents on which em and em_strict differ"
    )
    results.add_argument(
        "--bertscore", type=_bertscore_model, metavar="MODEL[:LAYERS]", help="BERTScore of attribute lists with this model"
    )
    results.add_argument(
        "--judge",
        metavar="JUDGE",
        help="verdicts beside em_strict: an API's address ending in /v1, nli:MODEL or embedding:MODEL",
    )
    results.add_argument("--judge-model", metavar="MODEL", help="the model behind that address")
    results.add_argument("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the judge's key")
    results.add_argument("--workers", type=positive, default=4, help="requests to the judge at a time")
    results.add_argument(
        "--plots", type=Path, metavar="DIR", help="write PNG and SVG plots of risk against coverage, of closed sets"
    )
    results.add_argument(
        "--rescore", action="store_true", help="score the logged answers again with this version; FINER_SIMILARITY for lists"
    )
    results.add_argument("--json", action="store_true")
    results.set_defaults(run=_results)


def _results(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.display import print_disagreements, print_summary
    from finer_tasks.runs.display_judge import print_judged
    from finer_tasks.runs.document import run_document
    from finer_tasks.runs.judging import PROMPT_HASH
    from finer_tasks.runs.reading import read_run
    from finer_tasks.writing import as_json

    run = read_run(_one_run(arguments), unscored=arguments.rescore)
    if arguments.rescore:
        from finer_tasks.runs.rescore import rescore

        run = rescore(run, os.environ.get("FINER_SIMILARITY", ""))
    if arguments.plots:
        _plot(run, arguments.plots)
    judged = _judged(run, arguments) if arguments.judge else []
    if arguments.json:
        how = {"judge": arguments.judge, "model": arguments.judge_model, "prompt_hash": PROMPT_HASH}
        rows = {"judged": how | {"rows": [dataclasses.asdict(row) for row in judged]}} if judged else {}
        print(as_json(run_document(run) | rows))
        return
    print_summary(run, out, with_reasons=arguments.reasons)
    if arguments.disagreements is not None:
        print_disagreements(run, out, arguments.disagreements)
    if judged:
        print_judged(judged, f"{arguments.judge} {arguments.judge_model or ''}".strip(), out)
    if arguments.bertscore:
        from finer_tasks.runs.bertscore import bertscore

        for task, value in bertscore(run, *arguments.bertscore).items():
            say(f"{task}: BERTScore F1 {value:.3f} ({':'.join(map(str, filter(None, arguments.bertscore)))})")


def _one_run(arguments: argparse.Namespace) -> Path:
    """The run that is shown: the one given, or the one that all given were merged into; raises FinerError."""
    from finer_tasks.errors import ResultsError
    from finer_tasks.runs.merging import merge

    runs: list[Path] = arguments.run_folders
    if arguments.merge:
        for note in merge(runs, arguments.merge, arguments.allow):
            print(f"finer: {note}", file=sys.stderr)
        written([arguments.merge])
        output: Path = arguments.merge
        return output
    if len(runs) > 1:
        raise ResultsError(f"{len(runs)} runs are given, and one is shown. Shards of one run are put together by --merge DIR")
    return runs[0]


def _plot(run: Run, folder: Path) -> None:
    from finer_tasks.errors import ResultsError
    from finer_tasks.runs.closed import risk_curves
    from finer_tasks.runs.plots import plot_risk_coverage

    curves = risk_curves(run)
    if not curves:
        raise ResultsError(f"--plots draws closed sets, and {run.path} has none: run tasks that end in _closed")
    for name, some in curves.items():
        written(plot_risk_coverage(some, folder, name))


def _judged(run: Run, arguments: argparse.Namespace) -> list[JudgeRow]:
    from finer_tasks.datasets.prepared import data_dir
    from finer_tasks.runs.judging import judge_named, judge_rows

    key = os.environ.get(arguments.key_variable, "").strip()
    judge = judge_named(arguments.judge, arguments.judge_model, key, data_dir() / "judge")
    return judge_rows(run, judge, arguments.workers)


def _bertscore_model(text: str) -> tuple[str, int | None]:
    """The model, a name or path, and the number of layers; a colon before anything but a number is part of a path."""
    model, _, layers = text.rpartition(":")
    return (model, int(layers)) if model and re.fullmatch(r"[0-9]{1,3}", layers) else (text, None)
