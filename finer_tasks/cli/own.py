"""`finer dataset`: datasets of a user's own, without Python."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import Commands, add_names, natural
from finer_tasks.cli.output import say
from finer_tasks.datasets.places import IMAGES, TASKS, TAXONOMY, own_folder

if TYPE_CHECKING:
    from finer_tasks.datasets.own.description import Counted


def add_dataset(commands: Commands) -> None:
    """Add the command to the parser."""
    dataset = commands.add_parser("dataset", help="a dataset of your own, without writing Python").add_subparsers(
        required=True, metavar="ACTION"
    )
    init = dataset.add_parser(
        "init",
        help="from a folder of images, or a list of them, and a taxonomy",
        description="Write FINER_TASKS_DIR/NAME (default ~/.local/share/finer/tasks) with dataset.yaml, taxonomy.yaml, "
        "images.csv and the tasks finer_NAME_LEVEL. The images stay where they are.",
    )
    init.add_argument("name", metavar="NAME", help="lower-case letters and digits")
    init.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder below which the images lie")
    init.add_argument(
        "--list", type=Path, metavar="FILE", dest="listing",
        help="CSV or JSONL with an image and its class in each row; without it, the folder of an image is its class",
    )  # fmt: skip
    init.add_argument("--taxonomy", type=Path, metavar="FILE", help="a taxonomy.yaml; without it, a skeleton to fill in")
    uses = "image, class, split, coarse, superordinate, group (what must not be parted over the splits)"
    add_names(init, "--columns", f"USE=COLUMN where the name of a column does not tell its use: {uses}", "PAIRS")
    add_names(init, "--map-split", "NAME=train, =test or =none, which leaves out, where splits have other names", "PAIRS")
    init.add_argument("--test-share", type=share, default=0.5, help="of each class, where there are no splits (default 0.5)")
    init.add_argument("--seed", type=natural, default=0, help="of such a split (default 0)")
    init.add_argument("--title", default="", help="what it is called in tables")
    init.add_argument("--terms", default="", help="under which its images may be used")
    for option, example in (("noun", "bird"), ("coarse-term", "group of birds"), ("fine-term", "species")):
        init.add_argument(f"--{option}", default="", metavar="WORDS", help=f"for the skeleton, such as '{example}'")
    init.add_argument("--superordinate", default="", metavar="LABEL", help="for the skeleton, such as 'Bird'")
    init.set_defaults(run=_init)
    update = dataset.add_parser(
        "update", help="count images.csv anew, and write the tasks as this version of finer-tasks has them"
    )
    update.add_argument("name", metavar="NAME")
    update.set_defaults(run=_update)


def share(text: str) -> float:
    """A number above 0 and up to 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to 1")
    return value


def _pairs(option: str, pairs: list[str], keys: tuple[str, ...] = (), values: tuple[str, ...] = ()) -> dict[str, str]:
    from finer_tasks.errors import DatasetLayoutError

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value or (keys and key not in keys) or (values and value not in values):
            known = f"one of {', '.join(keys)}" if keys else "a name"
            raise DatasetLayoutError(f"{option} {pair}: give {known}, =, and {' or '.join(values) or 'a column'}")
        found[key] = value
    return found


def _check_together(arguments: argparse.Namespace) -> None:
    """Raise DatasetLayoutError for an option that would have no effect beside the others."""
    from finer_tasks.errors import DatasetLayoutError

    if arguments.columns and not arguments.listing:
        raise DatasetLayoutError("--columns is of a list, and none is given. Give --list, or leave --columns out")
    words = ("noun", "coarse_term", "fine_term", "superordinate")
    if arguments.taxonomy and (said := next((word for word in words if getattr(arguments, word)), None)):
        raise DatasetLayoutError(
            f"--{said.replace('_', '-')} is for a skeleton, and --taxonomy has its own. Leave one of them out"
        )


def _init(arguments: argparse.Namespace) -> None:
    from finer_tasks.datasets.own.making import Request
    from finer_tasks.datasets.own.skeleton import Words
    from finer_tasks.datasets.own.sources import COLUMNS, LEFT_OUT
    from finer_tasks.datasets.record import SPLITS
    from finer_tasks.tasks.own import create

    name = arguments.name
    _check_together(arguments)
    words = Words(arguments.noun, arguments.coarse_term, arguments.fine_term, arguments.superordinate)
    columns = _pairs("--columns", arguments.columns, keys=tuple(COLUMNS))
    splits = _pairs("--map-split", arguments.map_split, values=(*SPLITS, LEFT_OUT))
    made = create(
        Request(
            name, arguments.images, arguments.listing, arguments.taxonomy, columns, splits,
            arguments.test_share, arguments.seed, arguments.title, arguments.terms, words,
        )
    )  # fmt: skip
    for note in made.notes:
        say(note)
    say(f"{name}: {_told(made.counted)}. Written to {own_folder(name)}")
    if made.unfilled:
        say(f"next: fill in the {made.unfilled} places marked in {own_folder(name) / TAXONOMY}, then: finer prepare {name}")
    else:
        say(f"next: look through {own_folder(name) / TAXONOMY}, then: finer prepare {name}")


def _update(arguments: argparse.Namespace) -> None:
    from finer_tasks.tasks.own import update

    done = update(arguments.name)
    if done.counted == done.before:
        say(f"{IMAGES} is as it was counted: {_told(done.counted)}")
    else:
        say(f"{IMAGES}: {_told(done.counted)}; before: {_told(done.before)}. Next: finer prepare {arguments.name}")
    say(f"{done.written} files of tasks written" if done.written else "the tasks are those of this version")
    if done.foreign:
        folder = own_folder(arguments.name) / TASKS
        say(f"not by this version, remove what is not yours in {folder}: {', '.join(done.foreign[:5])}")


def _told(counted: Counted) -> str:
    images = ", ".join(f"{count} {split} images" for split, count in counted.images.items())
    return f"{counted.classes} classes, {images}"
