"""dataset.yaml of a dataset of the user's own: what it is called, where its images lie, and what its list held when counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from finer_tasks.datasets.own.images import Listed
from finer_tasks.datasets.places import DESCRIPTION
from finer_tasks.datasets.record import SPLITS
from finer_tasks.datasets.tables import Account
from finer_tasks.errors import DatasetContentError, at_line
from finer_tasks.parsing import line_of, read_model
from finer_tasks.writing import write_text

_Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]
_Count = Annotated[int, Field(strict=True, ge=0)]


class Counted(BaseModel):
    """What a list holds.

    Attributes:
        classes: how many classes it names.
        images: how many images each split has; those without any are left out.
        fingerprints: of which image belongs to which class, by split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    classes: _Count
    images: Mapping[str, _Count]
    fingerprints: Mapping[str, _Text]


class Description(BaseModel):
    """The file; `images` may be relative to the folder in which it lies, and `split` says where the splits come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: _Text
    title: _Text
    terms: _Text
    home: str = ""
    images: _Text
    split: str = ""
    counted: Counted


def count(name: str, listed: Iterable[Listed]) -> Counted:
    """What a list holds, by the rule that `finer prepare` and `finer doctor` compare it with."""
    classes: set[str] = set()
    accounts: dict[str, Account] = {split: Account() for split in SPLITS}
    for one in listed:
        classes.add(one.class_name)
        accounts[one.split].listed += 1
        accounts[one.split].assign(f"{name}/{one.split}/{one.image}", one.class_name)
    there = {split: account for split, account in accounts.items() if account.listed}
    return Counted(
        classes=len(classes),
        images={split: account.listed for split, account in there.items()},
        fingerprints={split: account.split_fingerprint for split, account in there.items()},
    )


def read_description(folder: Path) -> Description:
    """The description in a dataset's folder; raises DatasetContentError with file, line and key."""
    path = folder / DESCRIPTION
    root, found = read_model(path, Description, DatasetContentError)
    if found.name != folder.name:
        raise DatasetContentError(
            at_line(path, line_of(root, ["name"]) or 1, f"the name is {found.name!r:.80}, the folder's is {folder.name!r}",
                    "Give both the same, and run `finer dataset update` with it")
        )  # fmt: skip
    return found


def description_text(found: Description) -> str:
    """The text of a new dataset.yaml."""
    head = found.model_dump(exclude={"counted"})
    return (
        f"# A dataset for finer-tasks. `images` is the folder below which the paths of images.csv lie.\n"
        f"{yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10**6)}"
        f"# What images.csv holds; `finer dataset update {found.name}` counts it anew.\n{_counted(found.counted)}"
    )


def recount(folder: Path, counted: Counted) -> None:
    """Replace what a description says that the list holds; the rest of the file stays as it is."""
    path = folder / DESCRIPTION
    text = path.read_text(encoding="utf-8")
    root, _ = read_model(path, Description, DatasetContentError)
    key, value = next(pair for pair in root.value if pair[0].value == "counted")
    end = value.end_mark.index
    rest = text[end:].lstrip("\n") if value.flow_style is False else text[end:].removeprefix("\n")
    write_text(path, text[: key.start_mark.index] + _counted(counted) + rest)


def list_digest(path: Path) -> str:
    """First 8 hex digits of the hash of a list, by which results tell its versions apart; empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    except OSError:
        return ""


def _counted(counted: Counted) -> str:
    return yaml.safe_dump({"counted": counted.model_dump()}, sort_keys=False)
