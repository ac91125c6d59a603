"""`finer negatives`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import Commands, add_output, positive
from finer_tasks.cli.output import say, written
from finer_tasks.datasets.registry import dataset_names

if TYPE_CHECKING:
    from finer_tasks.options.negatives import Negatives

# What stands around a name where nothing else is asked for.
TEMPLATES = {"image": "a photo of a {}", "name": "{}"}


def add_negatives(commands: Commands) -> None:
    """Add the command to the parser."""
    negatives = commands.add_parser(
        "negatives",
        help="find the wrong options of multiple choice that a model of your choice finds most alike",
        description="Write hard negatives of the coarse and the fine level to a file, for FINER_CHOICES=embedding:FILE.",
    )
    negatives.add_argument("dataset", choices=dataset_names())
    source = negatives.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--model", help="folder or hub name: of an image-text model such as CLIP, or of a sentence model for --by name"
    )
    source.add_argument(
        "--from-foci", type=Path, metavar="FILE", help="the options that FOCI publishes for each image, instead of a model"
    )
    negatives.add_argument(
        "--by", choices=tuple(TEMPLATES), default="image", help="alike to each image (default), or to the right name"
    )
    negatives.add_argument("--template", help=f"what stands around a name, by default {TEMPLATES['image']!r} for images")
    negatives.add_argument("--keep", type=positive, default=16, metavar="N", help="so many of each (default 16)")
    negatives.add_argument("--batch-size", type=positive, default=32)
    negatives.add_argument("--device")
    add_output(negatives, "FILE", "a JSON file")
    negatives.set_defaults(run=_negatives)


def _negatives(arguments: argparse.Namespace) -> None:
    from finer_tasks.options.negatives import fingerprint, write_negatives

    found = _found(arguments)
    write_negatives(found, arguments.output)
    written([arguments.output])
    counts = ", ".join(f"{level} {len(some):,}" for level, some in found.nearest.items())
    say(f"{found.dataset} by {found.by}, {counts}, {found.model}; fingerprint {fingerprint(found)}")


def _found(arguments: argparse.Namespace) -> Negatives:
    if arguments.from_foci:
        from finer_tasks.options.published import read_foci

        return read_foci(arguments.from_foci, arguments.dataset)
    from finer_tasks.models.hard_negatives import Wanted, find_negatives

    template = arguments.template or TEMPLATES[arguments.by]
    return find_negatives(
        Wanted(
            arguments.dataset, arguments.model, arguments.by, template, arguments.keep, arguments.batch_size, arguments.device
        )
    )
