"""Writing the records of a split as an Arrow table, and the account of what was written."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finer_tasks.datasets.record import FinerRecord
from finer_tasks.errors import DatasetContentError, os_error_text

_BATCH = 10_000


@dataclass
class Account:
    """Running account of one split while its records stream by."""

    listed: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)
    assignment: int = 0
    content: Any = field(default_factory=hashlib.sha256)
    seen: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in ("superordinate", "coarse", "fine")})
    ids: set[str] = field(default_factory=set)

    def add(self, record: FinerRecord, size: int | None) -> None:
        """Count a record; `size` is None where its image is missing."""
        if record.id in self.ids:
            raise DatasetContentError(f"image id {record.id} is listed twice. Copy the official files again")
        self.ids.add(record.id)
        self.listed += 1
        if size is None:
            self.missing += 1
            self.examples = [*self.examples, record.image][:3]
            return
        self.seen["superordinate"].add(record.superordinate)
        self.seen["coarse"].add(record.coarse[0])
        self.seen["fine"].add(record.concept_id)
        fields = (record.id, record.image, record.superordinate, *record.coarse, *record.fine, record.class_id, str(size))
        self.content.update("\t".join(fields).encode() + b"\n")

    def assign(self, identity: str, class_id: str) -> None:
        """Add to the split's fingerprint that an image is in a class."""
        # A sum, so that the order in which a copy lists its images does not matter.
        self.assignment += int.from_bytes(hashlib.sha256(f"{identity}\t{class_id}".encode()).digest()[:16])

    def assigning(self, records: Iterable[FinerRecord]) -> Iterator[FinerRecord]:
        """The records, each added to the split's fingerprint, which so covers those that are left out later as well."""
        for record in records:
            self.assign(record.id, record.class_id)
            yield record

    def counts(self) -> dict[str, int]:
        """What the manifest keeps of a split."""
        labels = {name: len(values) for name, values in self.seen.items()}
        return {"listed": self.listed, "missing": self.missing, "images": self.listed - self.missing, **labels}

    @property
    def split_fingerprint(self) -> str:
        """Over image, class and split of everything listed, missing images included."""
        return f"{self.assignment % 2**64:016x}"


def write_table(records: Iterable[FinerRecord], root: Path, embed: bool, path: Path, account: Account) -> None:
    """Stream records into an Arrow file, keeping only a batch of rows in memory; missing images are left out and counted."""
    from datasets.arrow_writer import ArrowWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = ArrowWriter(features=_features(embed), stream=file, writer_batch_size=_BATCH)
        for record in records:
            size = _size(root / record.image)
            account.add(record, size)
            if size is None:
                continue
            row = record.to_row() | {"size": size}
            if embed:
                row["embedded_image"] = {"bytes": _read(root / record.image), "path": None}
            writer.write(row)
        if account.listed > account.missing:
            writer.finalize()


def join_splits(raw: Path, splits: Iterable[str], target: Path) -> None:
    """Turn the Arrow files in `raw` into the layout that `datasets.load_from_disk` reads; removes `raw`."""
    from datasets import Dataset, DatasetDict
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar

    disable_progress_bar()
    try:
        DatasetDict({split: Dataset.from_file(str(raw / f"{split}.arrow")) for split in splits}).save_to_disk(str(target))
    finally:
        enable_progress_bar()
    shutil.rmtree(raw)


def _size(path: Path) -> int | None:
    """Bytes of an image file, None where there is no file, it is empty, or a folder bears its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size or None if stat.S_ISREG(found.st_mode) else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetContentError(f"{path} cannot be read: {os_error_text(error)}") from error


def _features(embed: bool) -> Any:
    from datasets import Features, Image, List, Value

    text = Value("string")
    features: dict[str, Any] = {
        "id": text, "image": text, "superordinate": text, "coarse": List(text), "fine": List(text),
        "concept_id": text, "class_id": text, "split": text, "source": text, "size": Value("int64"),
    }  # fmt: skip
    if embed:
        features["embedded_image"] = Image(decode=False)
    return Features(features)
