"""`finer prepare` and `finer doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table
from rich.text import Text

from finer_tasks.cli.copies import add_copies, copy_asked_for
from finer_tasks.cli.options import Commands, positive
from finer_tasks.cli.output import out, say
from finer_tasks.datasets.places import own_names
from finer_tasks.datasets.registry import READERS, dataset_names, get_reader
from finer_tasks.errors import USAGE_EXIT_CODE
from finer_tasks.text import harmless


def add_prepare(commands: Commands) -> None:
    """Add the command to the parser."""
    own = ", ".join(own_names()) or "none yet, see `finer dataset`"
    described = "\n\n".join(reader.origin.describe(name) for name, reader in READERS.items())
    prepare = commands.add_parser(
        "prepare",
        help="read a dataset as published and write it for the tasks",
        description="Read a dataset as published, check it, and write it below FINER_DATA_DIR (default ~/.cache/finer).",
        epilog=f"Where to get each dataset, and under which terms:\n\n{described}\n\nDatasets of your own: {own}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument("dataset", choices=dataset_names())
    prepare.add_argument(
        "--root", type=Path, help="folder of the dataset; of the images, for --from-unified; of val.json, for a copy of inat"
    )
    fetched = ", ".join(name for name, reader in READERS.items() if reader.origin.archives)
    prepare.add_argument("--download", action="store_true", help=f"fetch the official archives first ({fetched})")
    prepare.add_argument("--splits", action="append", help="train, test or train,test (default)")
    prepare.add_argument("--allow-partial", action="store_true", help="use what is there of an incomplete copy")
    prepare.add_argument(
        "--per-concept", type=positive, metavar="N",
        help="keep the first N images of each concept and split, for a small copy with all concepts; implies --allow-partial",
    )  # fmt: skip
    prepare.add_argument("--embed-images", action="store_true", help="copy the image files into the prepared dataset")
    prepare.add_argument(
        "--from-unified", action="append", metavar="[SPLIT=]FILE",
        help="the authors' unified JSONL file instead of the official lists; one for each split, or one with --splits",
    )  # fmt: skip
    add_copies(prepare)
    prepare.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> None:
    from finer_tasks.datasets.obtain import obtain
    from finer_tasks.datasets.prepare import Request, parse_splits, prepare, remark, summary
    from finer_tasks.datasets.readers.unified import parse_files

    name = arguments.dataset
    given = parse_splits(",".join(arguments.splits)) if arguments.splits else None
    unified = parse_files(arguments.from_unified, given) if arguments.from_unified else {}
    partial, embed = arguments.allow_partial, arguments.embed_images
    copy = copy_asked_for(arguments, given)
    if copy is None:
        root, splits = obtain(name, arguments.root, given, arguments.download)
    else:
        root, splits = copy.root, copy.splits
    prepared = prepare(Request(name, root, splits, partial, embed, unified, arguments.per_concept, copy))
    table = Table(title=get_reader(name).origin.title, title_justify="left")
    for column in ("split", "images", "missing", "superordinate", "coarse", "fine"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for row in summary(prepared):
        table.add_row(*row)
    out.print(table)
    if note := remark(prepared):
        say(note)
    if doubtful := [split for split in prepared.manifest.splits if not prepared.manifest.is_official(split)]:
        say(f"not known to be the official split: {', '.join(doubtful)}; results on it say so and cannot be submitted")
    contents = ", ".join(f"{split} {value}" for split, value in prepared.manifest.contents.items())
    say(f"fingerprint {prepared.manifest.fingerprint} ({contents})" + (", partial copy" if prepared.manifest.partial else ""))
    say(f"written to {prepared.folder}")


def add_doctor(commands: Commands) -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser("doctor", help="check a prepared dataset")
    doctor.add_argument("dataset", choices=dataset_names())
    doctor.add_argument("--fast", action="store_true", help="read no image: do not decode it nor compare the splits")
    doctor.add_argument(
        "--near-duplicates", action="store_true", help="list train images that look like a test image; slow for large datasets"
    )
    doctor.add_argument(
        "--crops", action="store_true", help="list train images that show part of a test image, such as crops; slower still"
    )
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from finer_tasks.datasets.doctor import examine
    from finer_tasks.datasets.prepare import ensure_prepared

    prepared = ensure_prepared(arguments.dataset)
    findings = examine(prepared, decode=not arguments.fast, near=arguments.near_duplicates, crops=arguments.crops)
    styles = {"ok": "green", "note": "yellow", "problem": "bold red"}
    for finding in findings:
        out.print(Text.assemble((f"{finding.level:8}", styles[finding.level]), " ", harmless(finding.text)), soft_wrap=True)
    problems = sum(finding.level == "problem" for finding in findings)
    say(f"{problems} problems" if problems else f"{arguments.dataset} is in order")
    return USAGE_EXIT_CODE if problems else 0
