"""The options of `finer prepare` for copies in other layouts, and `finer fingerprint`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import Commands, add_names, add_output
from finer_tasks.cli.output import say
from finer_tasks.datasets.registry import dataset_names
from finer_tasks.errors import DatasetLayoutError

if TYPE_CHECKING:
    from finer_tasks.datasets.copies.copy import Copy


_OF_COPIES = ("--hub-config", "--hub-revision", "--columns", "--take", "--class-names", "--official")


def add_copies(prepare: argparse.ArgumentParser) -> None:
    """The options of a copy in another layout than that of the authors."""
    copies = prepare.add_argument_group("a copy in another layout", "its class names and splits are matched, and reported")
    copies.add_argument("--from-hub", metavar="REPO", help="a dataset of the Hub, downloaded by the package datasets")
    copies.add_argument("--from-dataset", type=Path, metavar="FOLDER", help="parquet files, or what save_to_disk wrote")
    copies.add_argument("--from-imagefolder", type=Path, metavar="FOLDER", help="class folders, in train/ and test/ or alone")
    copies.add_argument("--hub-config", metavar="NAME", help="which configuration of it")
    copies.add_argument("--hub-revision", metavar="REVISION", help="which commit, tag or branch of it")
    add_names(copies, "--columns", "the columns of tables: image=NAME, label=NAME, file=NAME; guessed otherwise", "PAIRS")
    add_names(copies, "--take", "what our splits are called there, such as test=validation, train=train+validation", "PAIRS")
    copies.add_argument(
        "--class-names", type=Path, metavar="FILE",
        help="class names for labels that are numbers (one a line, from 0 on) or named otherwise (.yaml: a mapping)",
    )  # fmt: skip
    copies.add_argument(
        "--official",
        type=Path,
        metavar="LIST",
        help="find the official splits by content: hashes that `finer fingerprint` made of the official images",
    )


def copy_asked_for(arguments: argparse.Namespace, splits: tuple[str, ...] | None) -> Copy | None:
    """The copy in another layout that was asked for, with what was found out about it printed; None without one."""
    from finer_tasks.datasets.copies.opening import CopyOptions, open_copy

    options = CopyOptions(
        hub=arguments.from_hub,
        hub_config=arguments.hub_config,
        hub_revision=arguments.hub_revision,
        folder=arguments.from_dataset,
        image_folder=arguments.from_imagefolder,
        columns=arguments.columns,
        take=arguments.take,
        class_names=arguments.class_names,
        official=arguments.official,
        lists=arguments.root,
        splits=splits,
        allow_partial=arguments.allow_partial or arguments.per_concept is not None,
    )
    if not options.sources:
        if said := [option for option in _OF_COPIES if f"{option} " in options.command]:
            raise DatasetLayoutError(f"{said[0]} goes with --from-hub, --from-dataset or --from-imagefolder")
        return None
    if arguments.download or arguments.from_unified:
        raise DatasetLayoutError(f"{next(iter(options.sources))} goes without --download and --from-unified")
    copy = open_copy(arguments.dataset, options)
    for line in (*copy.notes, *copy.matched.describe().splitlines()):
        say(line)
    return copy


def add_fingerprint(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "fingerprint",
        help="list the images of a prepared dataset by what they show",
        description="Write split, name, class and perceptual hash of every image of a prepared dataset as CSV, no picture. "
        "By such a list of the official images, `finer prepare --official` finds the official splits in other copies.",
    )
    command.add_argument("dataset", choices=dataset_names())
    add_output(command, "FILE")
    command.set_defaults(run=_fingerprint)


def _fingerprint(arguments: argparse.Namespace) -> None:
    from finer_tasks.datasets.copies.content import write_official
    from finer_tasks.datasets.prepare import ensure_prepared

    count = write_official(ensure_prepared(arguments.dataset), arguments.output)
    say(f"{count} images listed in {arguments.output}")
