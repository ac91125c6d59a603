"""`finer export` and `finer import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from finer_tasks.cli.options import Commands, add_allow_unanswered, add_names, add_output, positive
from finer_tasks.cli.output import out, say

_OF_RUNS = ("model-index", "every-eval-ever", "evalai")
_KIT = "vlmevalkit"
_FOCI = "foci"
_PARTIAL = "partial"


def add_export(commands: Commands) -> None:
    """Add `export` to the parser."""
    export = commands.add_parser("export", help="a run's results, or a task, in the forms that others read")
    export.add_argument("what", metavar="RUN|TASK", help=f"a run of lmms-eval; with --form {_KIT} the name of a task")
    export.add_argument("--form", required=True, choices=(*_OF_RUNS, _KIT))
    export.add_argument("--card", type=Path, metavar="FILE", help="of runs: the card of `finer submit pack`")
    add_output(export, "FILE", "NAME.tsv for a task; for a run a folder")
    add_allow_unanswered(export)
    export.add_argument(
        "--images", choices=("path", "base64"), default="path", help="of tasks: name image files (default), or hold the images"
    )
    export.add_argument("--limit", type=positive, metavar="N", help="of tasks: only the first N documents")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    if arguments.form == _KIT:
        _export_task(arguments)
        return
    from finer_tasks.errors import ResultsError
    from finer_tasks.runs.card import read_card
    from finer_tasks.runs.export import export
    from finer_tasks.runs.reading import read_run

    if arguments.card is None:
        raise ResultsError(f"--form {arguments.form} needs --card FILE, which says whose results these are")
    run, card = read_run(Path(arguments.what)), read_card(arguments.card)
    for path in export(run, card, arguments.form, arguments.output, arguments.allow):
        say(f"written {path}")


def _export_task(arguments: argparse.Namespace) -> None:
    from finer_tasks.exchange.asking import asked
    from finer_tasks.exchange.vlmevalkit import write_tsv

    count = write_tsv(asked(arguments.what), arguments.output, arguments.images, arguments.limit)
    say(f"written {arguments.output}: {count} documents")


def add_import(commands: Commands) -> None:
    """Add `import` to the parser."""
    command = commands.add_parser("import", help="a result file of another kit → a run, scored by this package's rules")
    command.add_argument("file", type=Path, help="TSV, CSV, XLSX or JSON of VLMEvalKit, or JSON of FOCI")
    command.add_argument("--form", required=True, choices=(_KIT, _FOCI))
    command.add_argument("--task", metavar="TASK", help="of VLMEvalKit: the task that the file answers; FOCI's files tell it")
    command.add_argument("--model", metavar="NAME", help="what the model is called in results; FOCI's files tell it")
    add_output(command, "DIR", "a folder that does not exist yet")
    command.add_argument("--match", choices=("id", "image_path", "image", "index"), help="the column that tells the document")
    add_names(command, "--allow", f"{_PARTIAL} takes a file that lacks documents")
    command.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> None:
    from finer_tasks.exchange.asking import ExchangeError, asked
    from finer_tasks.exchange.importing import import_run
    from finer_tasks.exchange.matching import match
    from finer_tasks.exchange.rows import read_rows
    from finer_tasks.runs.allowing import check_allowed
    from finer_tasks.runs.display import print_summary
    from finer_tasks.runs.reading import read_run

    check_allowed(arguments.allow, [_PARTIAL])
    partial = _PARTIAL in arguments.allow
    if arguments.form == _FOCI:
        from finer_tasks.exchange.foci import import_foci

        import_foci(arguments.file, arguments.output, arguments.model, partial)
    else:
        if not (arguments.task and arguments.model):
            raise ExchangeError(f"--form {_KIT} needs --task and --model, which its files do not tell")
        task = asked(arguments.task)
        matched = match(read_rows(arguments.file), task, arguments.match, partial)
        import_run(task, matched, arguments.form, arguments.model, arguments.output)
    print_summary(read_run(arguments.output), out)
