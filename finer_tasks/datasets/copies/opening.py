"""From what a user says of a copy to the copy: which layout, which columns, which names, which splits."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.datasets.copies.columns import choose_columns
from finer_tasks.datasets.copies.content import read_official
from finer_tasks.datasets.copies.copy import Choices, Copy, Layout, class_names_of, read_copy
from finer_tasks.datasets.copies.folders import FolderLayout
from finer_tasks.datasets.copies.hub import load_folder, load_repository
from finer_tasks.datasets.copies.names import ClassNames, read_class_names
from finer_tasks.datasets.copies.tables import TableLayout
from finer_tasks.datasets.prepared import data_dir
from finer_tasks.datasets.record import SPLITS
from finer_tasks.errors import DatasetLayoutError
from finer_tasks.text import slug

if TYPE_CHECKING:
    from datasets import Dataset

_COMMIT = re.compile(r"[/\\]([0-9a-f]{40})[/\\]")


@dataclass(frozen=True)
class CopyOptions:
    """What a user says of a copy: one of the three sources, and what is to be known of it.

    `columns` and `take` are pairs NAME=VALUE; `lists` is the folder of the official lists, of a dataset whose class names stand
    there alone.
    """

    hub: str | None = None
    hub_config: str | None = None
    hub_revision: str | None = None
    folder: Path | None = None
    image_folder: Path | None = None
    columns: Sequence[str] = ()
    take: Sequence[str] = ()
    class_names: Path | None = None
    official: Path | None = None
    lists: Path | None = None
    splits: tuple[str, ...] | None = None
    allow_partial: bool = False

    @property
    def sources(self) -> dict[str, object]:
        """The sources that were given, by option."""
        given = {"--from-hub": self.hub, "--from-dataset": self.folder, "--from-imagefolder": self.image_folder}
        return {option: value for option, value in given.items() if value is not None}

    @property
    def command(self) -> str:
        """The options as they are typed."""
        named: list[tuple[str, object]] = [
            *self.sources.items(), ("--hub-config", self.hub_config), ("--hub-revision", self.hub_revision),
            *(("--columns", pair) for pair in self.columns), *(("--take", pair) for pair in self.take),
            ("--class-names", self.class_names), ("--official", self.official), ("--root", self.lists),
        ]  # fmt: skip
        absolute = ((option, value.absolute() if isinstance(value, Path) else value) for option, value in named if value)
        return " ".join(f"{option} {shlex.quote(str(value))}" for option, value in absolute)


def open_copy(dataset: str, options: CopyOptions) -> Copy:
    """The copy that the options describe, its names matched and its images found; raises a FinerError for what does not fit.

    The columns of tables are told among its notes.
    """
    _check(options)
    names = class_names_of(dataset, options.lists)
    renamed = read_class_names(options.class_names) if options.class_names else {}
    choices = Choices(
        splits=options.splits,
        take={split: tuple(value.split("+")) for split, value in _pairs("--take", options.take).items()},
        class_names=renamed,
        official=read_official(options.official) if options.official else None,
        allow_partial=options.allow_partial,
    )
    layout = _layout(dataset, options, names, renamed)
    copy = read_copy(dataset, layout, names, choices)
    if not isinstance(layout, TableLayout):
        return copy
    guessed = "" if {"image", "label"} <= set(_pairs("--columns", options.columns)) else " (guessed; --columns says otherwise)"
    return copy.with_note(f"columns: {layout.columns}{guessed}")


def _check(options: CopyOptions) -> None:
    if len(options.sources) > 1:
        raise DatasetLayoutError(f"give one of {', '.join(options.sources)}")
    _pairs("--columns", options.columns)
    if options.columns and options.image_folder:
        raise DatasetLayoutError("--columns is of tables; class folders have none. Leave it out")
    if options.hub_revision and not options.hub:
        raise DatasetLayoutError("--hub-revision goes with --from-hub. Leave it out")
    if options.hub_config and options.image_folder:
        raise DatasetLayoutError("--hub-config goes with --from-hub and --from-dataset. Leave it out")
    if unknown := set(_pairs("--take", options.take)) - set(SPLITS):
        raise DatasetLayoutError(f"--take {min(unknown)}=…: our splits are train and test; write --take test=NAME")


def _layout(dataset: str, options: CopyOptions, names: ClassNames, renamed: Mapping[str, str]) -> Layout:
    if options.image_folder:
        root = options.image_folder
        return FolderLayout(root, f"the class folders in {root.absolute().name}", options.command)
    if options.hub is not None:
        tables = load_repository(options.hub, options.hub_config, options.hub_revision)
        source, folder, called = f"the Hub's {options.hub}{_commit(tables, options)}", Path(), options.hub
    else:
        assert options.folder is not None
        tables = load_folder(options.folder, options.hub_config)
        source, folder, called = (
            f"the tables in {options.folder.absolute().name}",
            options.folder.absolute(),
            options.folder.name,
        )
    columns = choose_columns(tables, names, renamed, _pairs("--columns", options.columns))
    known = hashlib.sha256(
        "\n".join([str(columns.image), *(table._fingerprint for table in tables.values())]).encode()
    ).hexdigest()
    target = data_dir().absolute() / "copies" / dataset / f"{slug(called)}-{known[:12]}"
    return TableLayout(source, options.command, tables, columns, folder, target)


def _commit(tables: Mapping[str, Dataset], options: CopyOptions) -> str:
    """The commit that was read, by which `datasets` names the folder of its cache; else the revision that was asked for."""
    files = [str(file["filename"]) for table in tables.values() for file in table.cache_files]
    found = {match[1] for address in files if (match := _COMMIT.search(address))}
    named = found.pop() if len(found) == 1 else options.hub_revision
    return f"@{named}" if named else ""


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if odd := next((name for name, equals, value in pairs if not (name and equals and value)), None):
        raise DatasetLayoutError(f"{option} {odd}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}
