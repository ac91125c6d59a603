"""The `finer` command: parses arguments, calls, prints. No logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

from rich.table import Table
from rich.text import Text

import finer_tasks
from finer_tasks.cli.attributes import add_attributes
from finer_tasks.cli.gap import add_gap
from finer_tasks.cli.output import out, say, without_nan
from finer_tasks.cli.results import add_export, add_gate, add_leaderboard, add_report, add_submit
from finer_tasks.datasets.record import SPLITS
from finer_tasks.datasets.sources import load_sources
from finer_tasks.datasets.taxonomy import DATASETS
from finer_tasks.errors import USAGE_EXIT_CODE, exit_code_of
from finer_tasks.text import harmless


def main(argv: list[str] | None = None) -> int:
    """Run the command; errors are printed without a traceback and give exit code 2, or 70 where nobody foresaw them."""
    arguments = _parse(argv)
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


def _parse(argv: list[str] | None) -> argparse.Namespace:
    """Arguments; key=value pairs of a recipe may stand before or after the options, which argparse alone does not allow."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and hasattr(arguments, "overrides") and not any(word.startswith("-") for word in rest):
        arguments.overrides += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def _prepare(arguments: argparse.Namespace) -> None:
    from finer_tasks.datasets.download import fetch_dataset
    from finer_tasks.datasets.prepare import Request, coverage_note, mini_root, parse_splits, prepare, summary
    from finer_tasks.datasets.prepared import data_dir
    from finer_tasks.datasets.readers.unified import parse_files
    from finer_tasks.errors import DatasetLayoutError

    name, source = arguments.dataset, load_sources()[arguments.dataset]
    given = parse_splits(arguments.splits) if arguments.splits is not None else None
    unified = parse_files(arguments.from_unified, given) if arguments.from_unified else {}
    splits = given or SPLITS
    if arguments.download:
        splits = given or source.splits
        if missing := set(splits) - set(source.splits):
            raise DatasetLayoutError(
                f"{name}: --download fetches {' and '.join(source.splits)} only; get the {min(missing)} split by hand "
                "and give --root"
            )
        root = fetch_dataset(name, source, data_dir() / "downloads" / name)
    elif name == "mini":
        root = mini_root()
    elif arguments.root is None:
        raise DatasetLayoutError(f"give the folder of the dataset with --root\n{source.describe(name)}")
    else:
        root = arguments.root
    request = Request(name, root, splits, arguments.allow_partial, arguments.embed_images, unified)
    prepared = prepare(request)
    table = Table(title=f"{source.title}", title_justify="left")
    for column in ("split", "images", "missing", "superordinate", "coarse", "fine"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for row in summary(prepared):
        table.add_row(*row)
    out.print(table)
    if note := coverage_note(prepared):
        say(note)
    contents = ", ".join(f"{split} {value}" for split, value in prepared.manifest.contents.items())
    say(f"fingerprint {prepared.manifest.fingerprint} ({contents})" + (", partial copy" if prepared.manifest.partial else ""))
    say(f"written to {prepared.folder}")


def _doctor(arguments: argparse.Namespace) -> int:
    from finer_tasks.datasets.doctor import examine
    from finer_tasks.datasets.prepare import ensure_mini
    from finer_tasks.datasets.prepared import load_prepared

    prepared = ensure_mini() if arguments.dataset == "mini" else load_prepared(arguments.dataset)
    findings = examine(prepared, decode=not arguments.fast)
    styles = {"ok": "green", "note": "yellow", "problem": "bold red"}
    for finding in findings:
        out.print(Text.assemble((f"{finding.level:8}", styles[finding.level]), " ", harmless(finding.text)), soft_wrap=True)
    problems = sum(finding.level == "problem" for finding in findings)
    say(f"{problems} problems" if problems else f"{arguments.dataset} is in order")
    return USAGE_EXIT_CODE if problems else 0


def _tasks(arguments: argparse.Namespace) -> None:
    from finer_tasks.tasks.listing import data_state, list_groups, list_tasks

    states = {name: data_state(name) for name in DATASETS}
    tasks = list_tasks()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(task) | {"data": states[task.dataset]} for task in tasks], indent=2))
        return
    table = Table("task", "dataset", "level", "variant", "parent", "data")
    for task in tasks:
        table.add_row(task.name, task.dataset, task.level, task.variant, task.parent, states[task.dataset])
    out.print(table)
    for name, members in list_groups().items():
        say(f"{name}: {', '.join(members)}")


def _results(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.display import print_disagreements, print_summary
    from finer_tasks.runs.reading import read_run
    from finer_tasks.runs.summary import attribute_rows, consistencies, rows

    run = read_run(arguments.output, unscored=arguments.rescore)
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
        }
        print(json.dumps(without_nan(document), indent=2))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finer", description="Data, tasks and results of FINER, a plugin of lmms-eval.")
    parser.add_argument("--version", action="version", version=f"finer-tasks {finer_tasks.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_prepare(commands)
    doctor = commands.add_parser("doctor", help="check a prepared dataset")
    doctor.add_argument("dataset", choices=DATASETS)
    doctor.add_argument("--fast", action="store_true", help="read no image: do not decode it nor compare the splits")
    doctor.set_defaults(run=_doctor)
    tasks = commands.add_parser("tasks", help="list all tasks and whether their data are prepared")
    tasks.add_argument("--json", action="store_true")
    tasks.set_defaults(run=_tasks)
    results = commands.add_parser("results", help="table of a run that lmms-eval wrote with --output_path and --log_samples")
    results.add_argument("output", type=Path, help="the --output_path of the run, or its *_results.json")
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
    add_attributes(commands)
    add_gap(commands)
    add_gate(commands)
    add_submit(commands)
    add_leaderboard(commands)
    add_report(commands)
    add_export(commands)
    for extension in entry_points(group="finer.commands"):
        extension.load()(commands)
    return parser


def _add_prepare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    described = "\n\n".join(source.describe(name) for name, source in load_sources().items())
    prepare = commands.add_parser(
        "prepare",
        help="read a dataset as published and write it for the tasks",
        description="Read a dataset as published, check it, and write it below FINER_DATA_DIR (default ~/.cache/finer).",
        epilog=f"Where to get each dataset, and under which terms:\n\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument("dataset", choices=DATASETS)
    prepare.add_argument("--root", type=Path, help="folder of the dataset; for --from-unified, the folder of its images")
    prepare.add_argument(
        "--download", action="store_true", help="fetch the official archives first (cub, aircraft, dogs, inat)"
    )
    prepare.add_argument("--splits", help="train, test or train,test (default)")
    prepare.add_argument("--allow-partial", action="store_true", help="use what is there of an incomplete copy")
    prepare.add_argument("--embed-images", action="store_true", help="copy the image files into the prepared dataset")
    prepare.add_argument(
        "--from-unified", action="append", metavar="[SPLIT=]FILE",
        help="the authors' unified JSONL file instead of the official lists; one for each split, or one with --splits",
    )  # fmt: skip
    prepare.set_defaults(run=_prepare)


if __name__ == "__main__":
    sys.exit(main())
