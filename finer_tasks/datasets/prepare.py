"""From a reader's records to the prepared dataset on disk.

Nothing is decoded or copied: images are referenced by path unless the user asks to embed them.
Everything is written under a temporary name; the manifest, replaced last in one step, makes it
the dataset in use.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from tqdm import tqdm

import finer_tasks
from finer_tasks.datasets.in_use import MARKER, TEMPORARY, remove_unused
from finer_tasks.datasets.prepared import Manifest, Prepared, data_dir, digest, forget_loaded, load_prepared
from finer_tasks.datasets.readers import unified
from finer_tasks.datasets.record import SPLITS, Concept, FinerRecord, first_of_each
from finer_tasks.datasets.registry import get_reader
from finer_tasks.datasets.tables import Account, join_splits, write_table
from finer_tasks.datasets.taxonomy import taxonomy_hash
from finer_tasks.errors import (
    ChangedDataError,
    DatasetContentError,
    DatasetLayoutError,
    NotPreparedError,
    PartialDatasetError,
    os_error_text,
)
from finer_tasks.text import slug
from finer_tasks.writing import replacing, write_text, writing

if TYPE_CHECKING:
    from finer_tasks.datasets.copies.copy import Copy


def parse_splits(text: str) -> tuple[str, ...]:
    """The splits in a comma-separated list, in the order of SPLITS; raises DatasetLayoutError for an unknown one."""
    names = {name.strip() for name in text.split(",")}
    if unknown := names - set(SPLITS):
        raise DatasetLayoutError(f"--splits {text}: unknown split {min(unknown)!r}; give train, test or train,test")
    return tuple(split for split in SPLITS if split in names)


@dataclass(frozen=True)
class Request:
    """What to prepare: `root` is the folder of the dataset as published; `unified` has the authors' file for each split.

    `copy` is one in another layout, whose root and splits are taken.
    `per_concept` keeps the first so many images of each concept and split, which makes a partial copy.
    The order in which splits are given means nothing.
    """

    dataset: str
    root: Path
    splits: tuple[str, ...] = SPLITS
    allow_partial: bool = False
    embed_images: bool = False
    unified: Mapping[str, Path] = field(default_factory=dict)
    per_concept: int | None = None
    copy: Copy | None = None

    def __post_init__(self) -> None:
        """Bring the splits in order; raises DatasetLayoutError for an unknown one, or none."""
        object.__setattr__(self, "splits", parse_splits(",".join(self.unified or self.splits)))
        if self.copy:
            object.__setattr__(self, "root", self.copy.root)
            object.__setattr__(self, "splits", self.copy.splits)
        object.__setattr__(self, "allow_partial", self.allow_partial or self.per_concept is not None)


def prepare(request: Request, directory: Path | None = None) -> Prepared:
    """Read, check and write a dataset, into `directory` instead of FINER_DATA_DIR if given; returns it as loaded from disk.

    Raises a FinerError where the layout, the content or the official counts do not fit, or the disk
    refuses; the dataset that was in use before stays in use then, and with processes that read it.
    """
    directory = directory or data_dir()
    target = directory / request.dataset
    as_published = not (request.unified or request.copy)
    root = (get_reader(request.dataset).locate(request.root) if as_published else request.root).resolve()
    try:
        str(root).encode()
    except UnicodeEncodeError as error:
        raise DatasetLayoutError(f"the path {str(root)!r} is no text in UTF-8; rename the folder") from error
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target) + ".lock"):
            for stale in target.glob(f"{TEMPORARY}*"):
                shutil.rmtree(stale)
            temporary = target / f"{TEMPORARY}{os.getpid()}"
            try:
                manifest = _write(request, root, temporary)
                os.replace(temporary, target / manifest.folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            write_text(target / "manifest.json", manifest.to_json())
            remove_unused(target, keep=manifest.folder)
    forget_loaded()
    return load_prepared(request.dataset, directory)


def ensure_prepared(dataset: str) -> Prepared:
    """The prepared dataset in use; one that is built in is made if it is not there yet or is that of another version."""
    try:
        return load_prepared(dataset)
    except (NotPreparedError, ChangedDataError):
        if not get_reader(dataset).built_in:
            raise
        return prepare(Request(dataset, rendered(dataset)))


def rendered(dataset: str) -> Path:
    """Where the images of a built-in dataset of this version lie; renders them if they are not there.

    Raises DatasetLayoutError for any other dataset, whose folder its user has to give.
    """
    reader = get_reader(dataset)
    if reader.render is None:
        raise DatasetLayoutError(f"give the folder of the dataset with --root\n{reader.origin.describe(dataset)}")
    root = data_dir() / dataset / f"images-{slug(reader.source)}"
    if not root.exists():
        with writing(root):
            root.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(str(root) + ".lock"):
                if not root.exists():
                    with replacing(root) as fresh:
                        reader.render(fresh)
    return root


def _write(request: Request, root: Path, temporary: Path) -> Manifest:
    reader = get_reader(request.dataset)
    if not request.unified and (absent := set(request.splits) - set(reader.splits)):
        raise DatasetLayoutError(
            f"{request.dataset} has no {min(absent)} split. Prepare it with --splits {','.join(reader.splits)}"
        )
    files = unified.UnifiedFiles(request.dataset, request.unified) if request.unified else None
    accounts: dict[str, Account] = {}
    found: dict[str, Concept] = {}
    for split in request.splits:
        account = accounts[split] = Account()
        records = account.assigning(_reading(_records(request, files, root, split)))
        records = first_of_each(records, lambda record: record.concept_id, request.per_concept)
        total = None if files else reader.official_counts(root)[split]
        shown = tqdm(records, total=total, desc=f"{request.dataset} {split}", unit=" images", mininterval=1)
        raw = temporary / "raw" / f"{split}.arrow"
        write_table(_count_concepts(shown, found), root, request.embed_images, raw, account)
    _check_counts(request, root, accounts)
    _write_concepts(request, root, found, temporary / MARKER)
    join_splits(temporary / "raw", request.splits, temporary / "data")
    contents = {split: account.content.hexdigest() for split, account in accounts.items()}
    total_hash = hashlib.sha256("".join(contents.values()).encode()).hexdigest()
    names = ", ".join(path.name for path in request.unified.values())
    return Manifest(
        dataset=request.dataset,
        folder=f"{total_hash[:12]}-{datetime.now(UTC):%Y%m%d%H%M%S%f}",
        fingerprint=total_hash[:16],
        contents={split: value[:16] for split, value in contents.items()},
        root=str(root),
        source=f"unified file {names}" if names else request.copy.source if request.copy else reader.source,
        splits={split: account.counts() for split, account in accounts.items()},
        split_fingerprints={split: account.split_fingerprint for split, account in accounts.items()},
        digests={split: digest(temporary / "data" / split) for split in request.splits},
        concepts_digest=hashlib.sha256((temporary / MARKER).read_bytes()).hexdigest(),
        partial=any(not _is_whole(request, root, split, account) for split, account in accounts.items()),
        embedded=request.embed_images,
        taxonomy=taxonomy_hash(request.dataset),
        unified=names,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        finer_version=finer_tasks.__version__,
        copy=request.copy.command if request.copy else "",
        official={split: _known_by(request, root, split, account) for split, account in accounts.items()},
    )


def _records(request: Request, files: unified.UnifiedFiles | None, root: Path, split: str) -> Iterable[FinerRecord]:
    if files:
        return files.read(split, root)
    return request.copy.read(split) if request.copy else get_reader(request.dataset).read(root, (split,))


def _known_by(request: Request, root: Path, split: str, account: Account) -> str:
    """By what a split is known to be the official one, see Manifest.official.

    Where this version knows which image is in which split, that decides. Else lists are taken for what they say they are.
    """
    reader = get_reader(request.dataset)
    by_list = request.copy is not None and request.copy.by_content
    if request.unified:
        return "lists"  # of the benchmark's authors, whose figures are on just these images
    if account.split_fingerprint in (reader.fingerprints.get(split), reader.file_fingerprints.get(split)):
        return "content" if by_list else "file names" if request.copy else "lists"
    if split in reader.fingerprints:
        return ""
    if by_list:
        return "content" if account.listed == reader.official_counts(root)[split] else ""
    return "" if request.copy else "lists"


def _reading(records: Iterable[FinerRecord]) -> Iterator[FinerRecord]:
    """Tell what cannot be read from what cannot be written."""
    try:
        yield from records
    except OSError as error:
        raise DatasetLayoutError(f"{error.filename} cannot be read: {os_error_text(error)}") from error


def _count_concepts(records: Iterable[FinerRecord], found: dict[str, Concept]) -> Iterator[FinerRecord]:
    """Collect the concepts of the records, with all labels that any of them has."""
    for record in records:
        concept = found.setdefault(record.concept_id, unified.concept_of(record))
        if not (set(record.fine) <= set(concept.fine) and set(record.coarse) <= set(concept.coarse)):
            coarse, fine = dict.fromkeys(concept.coarse + record.coarse), dict.fromkeys(concept.fine + record.fine)
            found[record.concept_id] = replace(concept, coarse=tuple(coarse), fine=tuple(fine))
        yield record


def _write_concepts(request: Request, root: Path, found: Mapping[str, Concept], path: Path) -> None:
    """All concepts of the dataset; those of the records alone where the authors' files give the labels."""
    concepts = dict(found)
    if not request.unified:
        classes = request.copy.concepts if request.copy else get_reader(request.dataset).concepts(root)
        concepts = {concept.concept_id: concept for concept in classes.values()}
        if unknown := found.keys() - concepts.keys():
            raise DatasetContentError(
                f"{request.dataset}: {len(unknown)} classes of the lists below {root} are not among its {len(concepts)} "
                f"concepts, for example {min(unknown)}. Copy the official files again, all of one version"
            )
    document = json.dumps([asdict(concepts[key]) for key in sorted(concepts)], ensure_ascii=False)
    path.write_text(document, encoding="utf-8")


def _is_whole(request: Request, root: Path, split: str, account: Account) -> bool:
    """Whether all images of the official split are there; each split is complete in itself."""
    return not (account.missing or request.per_concept) and (
        bool(request.unified) or account.listed == get_reader(request.dataset).official_counts(root)[split]
    )


def _check_counts(request: Request, root: Path, accounts: Mapping[str, Account]) -> None:
    for split, account in accounts.items():
        if not account.listed:
            raise DatasetContentError(f"{request.unified.get(split, root)} lists no image of the {split} split")
        if account.listed == account.missing:
            raise PartialDatasetError(
                f"{request.dataset}: none of the {account.listed} images of the {split} split is below {root}"
                f" (looked for {account.examples[0]}). Check --root"
            )
        _check_not_exchanged(request, root, split, account)
        if request.allow_partial or _is_whole(request, root, split, account):
            continue
        if account.missing:
            raise PartialDatasetError(
                f"{request.dataset} {split}: {account.missing} of {account.listed} image files are missing or empty below "
                f"{root}, for example {', '.join(account.examples)}. Copy them, or pass --allow-partial to use what is there"
            )
        reader = get_reader(request.dataset)
        official = reader.official_counts(root)[split]
        if request.copy:
            raise PartialDatasetError(
                f"{request.dataset} {split}: the copy has {account.listed} images, the official dataset has {official}. If it "
                f"names its splits otherwise, say so with --take {split}=NAME; if it has other splits, find the official ones "
                "by --official LIST; or pass --allow-partial to use what is there"
            )
        raise PartialDatasetError(
            f"{request.dataset} {split}: the lists name {account.listed} images, the official dataset has {official}. "
            f"{reader.copy_again}, or pass --allow-partial to use what is there"
        )


def _check_not_exchanged(request: Request, root: Path, split: str, account: Account) -> None:
    """Raise DatasetContentError where a split has as many images as the authors put into the other one."""
    reader = get_reader(request.dataset)
    official = {} if request.unified or reader.own else reader.official_counts(root)
    other = next((name for name in official if name != split), split)
    if other in official and account.listed == official[other] != official[split]:
        who, advice = f"lists below {root} name", "Copy the official lists again (in train_test_split.txt, 1 is train)"
        if request.copy:
            who, advice = "copy has", "Say which is which with --take train=NAME,test=NAME"
        raise DatasetContentError(
            f"{request.dataset}: the {who} {account.listed} images for {split}, which is what the official {other} split has: "
            f"the splits are exchanged. {advice}"
        )


def summary(prepared: Prepared) -> list[tuple[str, ...]]:
    """Rows (split, images, missing, superordinate, coarse, fine) for a table."""
    columns = ("images", "missing", "superordinate", "coarse", "fine")
    return [(split, *(str(counts[name]) for name in columns)) for split, counts in prepared.manifest.splits.items()]


def remark(prepared: Prepared) -> str:
    """What the dataset's reader has to tell of this copy; nothing where the labels came from the authors' files."""
    tell = get_reader(prepared.manifest.dataset).remark
    return tell(Path(prepared.manifest.root)) if tell and not (prepared.manifest.unified or prepared.manifest.copy) else ""
