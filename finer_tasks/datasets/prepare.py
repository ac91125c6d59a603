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
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

import finer_tasks
from finer_tasks.datasets import inat, mini, unified
from finer_tasks.datasets.prepared import Manifest, Prepared, data_dir, digest, forget_loaded, load_prepared
from finer_tasks.datasets.readers import get_reader, official_counts
from finer_tasks.datasets.record import SPLITS, FinerRecord
from finer_tasks.datasets.taxonomy import Concept
from finer_tasks.errors import DatasetContentError, NotPreparedError, PartialDatasetError

_BATCH = 10_000


@dataclass(frozen=True)
class Request:
    """What to prepare: `root` is the folder of the dataset as published."""

    dataset: str
    root: Path
    splits: tuple[str, ...] = SPLITS
    allow_partial: bool = False
    embed_images: bool = False
    unified: Path | None = None


@dataclass
class _SplitState:
    """Running account of one split while its records stream by."""

    listed: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)
    assignment: int = 0
    content: Any = field(default_factory=hashlib.sha256)
    seen: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in ("superordinate", "coarse", "fine")})
    ids: set[str] = field(default_factory=set)

    def counts(self) -> dict[str, int]:
        labels = {name: len(values) for name, values in self.seen.items()}
        return {"listed": self.listed, "missing": self.missing, "images": self.listed - self.missing, **labels}


def prepare(request: Request) -> Prepared:
    """Read, check and write a dataset; returns it as loaded from disk.

    Raises a FinerError where the layout, the content or the official counts do not fit;
    the dataset that was in use before stays in use then.
    """
    target = data_dir() / request.dataset
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):
        for stale in target.glob(".tmp-*"):
            shutil.rmtree(stale)
        temporary = target / f".tmp-{os.getpid()}"
        try:
            manifest = _write(request, temporary)
            _publish(target, temporary, manifest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    forget_loaded()
    return load_prepared(request.dataset)


def ensure_mini() -> Prepared:
    """The built-in dataset, rendered and prepared if it is not there yet."""
    try:
        return load_prepared("mini")
    except NotPreparedError:
        return prepare(Request("mini", mini_root()))


def mini_root() -> Path:
    """Where the images of mini lie; renders them if the set is not complete."""
    root = data_dir() / "mini" / "images"
    done = root / "complete"
    if not done.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(root) + ".lock"):
            if not done.exists():
                mini.write_images(root)
                done.write_text(mini.SOURCE, encoding="utf-8")
    return root


def _write(request: Request, temporary: Path) -> Manifest:
    reader = get_reader(request.dataset)
    root = (request.root if request.unified else reader.locate(request.root)).resolve()
    states = {split: _SplitState() for split in request.splits}
    found: dict[str, Concept] = {}
    for split in request.splits:
        records = _records(request, root, split)
        _write_split(request, root, _count_concepts(records, found), states[split], temporary, split)
    _check_counts(request, root, states)
    concepts = found if request.unified else {c.concept_id: c for c in reader.concepts(root).values()}
    document = json.dumps([asdict(concepts[key]) for key in sorted(concepts)], ensure_ascii=False)
    (temporary / "concepts.json").write_text(document, encoding="utf-8")
    _join_splits(temporary, request.splits)
    total = hashlib.sha256("".join(states[split].content.hexdigest() for split in request.splits).encode()).hexdigest()
    partial = any(state.missing for state in states.values()) or set(request.splits) != set(SPLITS)
    return Manifest(
        dataset=request.dataset,
        folder=f"{total[:12]}-{datetime.now(UTC):%Y%m%d%H%M%S%f}",
        fingerprint=total[:16],
        root=str(root),
        source=f"unified file {request.unified.name}" if request.unified else reader.SOURCE,
        splits={split: state.counts() for split, state in states.items()},
        split_fingerprints={split: f"{state.assignment % 2**64:016x}" for split, state in states.items()},
        digests={split: digest(temporary / "data" / split) for split in request.splits},
        partial=partial,
        embedded=request.embed_images,
        unified=request.unified.name if request.unified else "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        finer_version=finer_tasks.__version__,
    )


def _records(request: Request, root: Path, split: str) -> Iterable[FinerRecord]:
    if request.unified:
        return unified.read(request.unified, request.dataset, root, split)
    return get_reader(request.dataset).read(root, (split,))


def _count_concepts(records: Iterable[FinerRecord], found: dict[str, Concept]) -> Iterator[FinerRecord]:
    for record in records:
        if record.concept_id not in found:
            found[record.concept_id] = unified.concept_of(record)
        yield record


def _write_split(
    request: Request, root: Path, records: Iterable[FinerRecord], state: _SplitState, temporary: Path, split: str
) -> None:
    """Stream one split into an Arrow file, keeping only a batch of rows in memory."""
    from datasets.arrow_writer import ArrowWriter

    total = None if request.unified else official_counts(request.dataset, root)[split]
    folder = temporary / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    writer = ArrowWriter(
        features=_features(request.embed_images), path=str(folder / f"{split}.arrow"), writer_batch_size=_BATCH
    )
    for record in tqdm(records, total=total, desc=f"{request.dataset} {split}", unit=" images", mininterval=1):
        size = _size(root / record.image)
        _account(state, record, size)
        if size is None:
            continue
        row = replace(record, size=size).to_row()
        if request.embed_images:
            row["embedded_image"] = {"bytes": (root / record.image).read_bytes(), "path": None}
        writer.write(row)
    if state.listed == state.missing:
        raise PartialDatasetError(
            f"{request.dataset}: none of the {state.listed} images of the {split} split is below {root}"
            + (f" (looked for {state.examples[0]}). Check --root" if state.examples else ". Check --root")
        )
    writer.finalize()
    writer.close()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size or None
    except OSError:
        return None


def _account(state: _SplitState, record: FinerRecord, size: int | None) -> None:
    if record.id in state.ids:
        raise DatasetContentError(f"image id {record.id} is listed twice")
    state.ids.add(record.id)
    state.listed += 1
    # A sum, so that the order in which a copy lists its images does not matter.
    state.assignment += int.from_bytes(hashlib.sha256(f"{record.id}\t{record.class_id}".encode()).digest()[:16])
    if size is None:
        state.missing += 1
        state.examples = [*state.examples, record.image][:3]
        return
    state.seen["superordinate"].add(record.superordinate)
    state.seen["coarse"].add(record.coarse[0])
    state.seen["fine"].add(record.concept_id)
    fields = (record.id, record.image, record.superordinate, *record.coarse, *record.fine, record.class_id, str(size))
    state.content.update("\t".join(fields).encode() + b"\n")


def _check_counts(request: Request, root: Path, states: dict[str, _SplitState]) -> None:
    if request.allow_partial:
        return
    for split, state in states.items():
        if not request.unified:
            official = official_counts(request.dataset, root)[split]
            if state.listed != official:
                raise PartialDatasetError(
                    f"{request.dataset} {split}: the lists name {state.listed} images, the official dataset has {official}. "
                    "Copy the official files again, or pass --allow-partial to use what is there"
                )
        if state.missing:
            raise PartialDatasetError(
                f"{request.dataset} {split}: {state.missing} of {state.listed} image files are missing or empty below {root}, "
                f"for example {', '.join(state.examples)}. Copy them, or pass --allow-partial to use what is there"
            )


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


def _join_splits(temporary: Path, splits: tuple[str, ...]) -> None:
    """Turn the raw Arrow files into the layout that `datasets.load_from_disk` reads."""
    from datasets import Dataset, DatasetDict
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar

    disable_progress_bar()
    tables = {split: Dataset.from_file(str(temporary / "raw" / f"{split}.arrow")) for split in splits}
    DatasetDict(tables).save_to_disk(str(temporary / "data"))
    enable_progress_bar()
    shutil.rmtree(temporary / "raw")


def _publish(target: Path, temporary: Path, manifest: Manifest) -> None:
    """Move the finished folder into place and switch the manifest to it in one step."""
    os.replace(temporary, target / manifest.folder)
    fresh = target / ".manifest.json.new"
    fresh.write_text(manifest.to_json(), encoding="utf-8")
    os.replace(fresh, target / "manifest.json")
    for old in target.iterdir():
        if old.is_dir() and (old / "concepts.json").exists() and old.name != manifest.folder:
            shutil.rmtree(old, ignore_errors=True)


def summary(prepared: Prepared) -> list[tuple[str, ...]]:
    """Rows (split, images, missing, superordinate, coarse, fine) for a table."""
    columns = ("images", "missing", "superordinate", "coarse", "fine")
    return [(split, *(str(counts[name]) for name in columns)) for split, counts in prepared.manifest.splits.items()]


def coverage_note(prepared: Prepared) -> str:
    """For iNaturalist, how many species got their coarse label from which rule; else nothing."""
    if prepared.manifest.dataset != "inat" or prepared.manifest.unified:
        return ""
    counts = Counter(inat.rule_coverage(Path(prepared.manifest.root)))
    named = sum(counts.values()) - counts["none"]
    return (
        f"coarse labels: {named} of {sum(counts.values())} species by a group name "
        f"(genus or species {counts['genus']}, family {counts['family']}, order {counts['order']}, class {counts['class']}); "
        f"{counts['none']} by the scientific family alone"
    )
