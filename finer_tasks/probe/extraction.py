"""From documents to features on disk, by one process or several that share the documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import Accelerator
from tqdm import tqdm

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import SPLITS
from finer_tasks.datasets.seen import seen_data
from finer_tasks.errors import ModelError
from finer_tasks.models.batching import BatchRunner, batch_size_of
from finer_tasks.models.conversation import ChatEncoder, Conversation
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.models.generation import Generator
from finer_tasks.models.loading import LoadOptions, choose_device, load_model, load_processor
from finer_tasks.probe.documents import Documents
from finer_tasks.probe.features import Watch
from finer_tasks.probe.points import choose_taps, order_of, path_of
from finer_tasks.probe.results import Point, ProbeError
from finer_tasks.probe.store import Column, Rows, Values, claim, columns
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.tasks.questions import ask

# Raised where the same images give other features.
EXTRACTION_VERSION = 1
# How many documents, and how many bytes, are kept in memory until they are written.
_KEPT, _KEPT_BYTES = 128, 1 << 28
_WORKERS = 2
Found = dict[str, Values]


@dataclass(frozen=True)
class Extracted:
    """Where the features are: points in the order of the path, their columns by split, and what they come from."""

    points: tuple[Point, ...]
    columns: Mapping[str, Mapping[str, Column]]
    made: Mapping[str, Any]
    device: torch.device

    def read(self, split: str, point: str, rows: Rows) -> Values:
        """Features of documents as float32."""
        return self.columns[split][point].read(rows)


class Extractor:
    """A loaded model, and documents whose features at chosen points are wanted."""

    def __init__(self, options: LoadOptions, batch_size: int | str, prepared: Prepared, documents: Documents) -> None:
        self._accelerator = Accelerator()
        several = self._accelerator.num_processes > 1
        self._device = self._accelerator.device if several else choose_device(options.device)
        self._size = batch_size_of(batch_size, self._device)
        self._options, self._prepared, self._documents = options, prepared, documents
        self._encoder = ChatEncoder(load_processor(options))
        self._model = load_model(options, self._device)
        self._encoder.check(self._model.config)
        self._generator = Generator(self._model, self._encoder, self._device)
        self._path = path_of(self._model, options.pretrained)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that fits and writes; the others help to extract."""
        return bool(self._accelerator.is_main_process)

    def extract(self, points: Sequence[str], poolings: Sequence[str], folder: Path) -> Extracted | None:
        """Fill the columns of all points; None in the processes that only helped.

        Raises ProbeError for points that the model lacks or a folder with features of another origin, and ModelError for
        features that are no numbers.
        """
        taps = choose_taps(self._path, points, poolings)
        watch = Watch(self._model, self._path, taps)
        shapes = {name: values.shape[1:] for name, values in self._example(watch).items()}
        made = self._made()
        if self.is_main:
            claim(folder, made)
            self._columns(folder, shapes)
        self._accelerator.wait_for_everyone()
        found = self._columns(folder, shapes)
        for split in SPLITS:
            self._fill(watch, split, found[split])
        self._accelerator.wait_for_everyone()
        order = [
            Point(
                name=tap.name, place=tap.place, pooling=tap.pooling, width=shapes[tap.name][-1],
                order=order_of(self._path, tap), used=tap.layer is None,
                class_token_taken=tap.pooling == "cls" and tap.layer is None and self._path.takes_class_token,
            )
            for tap in taps
        ]  # fmt: skip
        return Extracted(tuple(order), found, made, self._device) if self.is_main else None

    def _made(self) -> dict[str, Any]:
        options = {key: value for key, value in asdict(self._options).items() if key not in ("device", "device_map")}
        prompts = active_prompt_set()
        return {
            "extraction": EXTRACTION_VERSION,
            "weights": weights_fingerprint(options) or self._options.pretrained,
            "options": {key: value for key, value in options.items() if key not in ("pretrained", "peft", "revision")},
            "precision": str(self._model.dtype),
            "dataset": self._prepared.manifest.dataset,
            "data": {split: seen_data(self._prepared, split)["data_fingerprint"] for split in SPLITS},
            "question": _question(self._documents.test.table[0]),
            "prompt_set": prompts.name,
            "prompt_hash": prompts.hash,
            "transformers": transformers.__version__,
        }

    def _columns(self, folder: Path, shapes: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Column]]:
        return {split: columns(folder, split, shapes, len(self._documents.part(split).table)) for split in SPLITS}

    def _example(self, watch: Watch) -> Found:
        """Features of the first test document, whose shapes are those of all."""
        ((_, found),) = self._batches(watch, self._documents.test.table, [0])
        return found[0]

    def _fill(self, watch: Watch, split: str, found: Mapping[str, Column]) -> None:
        part, accelerator = self._documents.part(split), self._accelerator
        there = np.all([column.there() for column in found.values()], axis=0)
        missing = part.rows[~there[part.rows]].tolist()
        mine = missing[accelerator.process_index :: accelerator.num_processes]
        batches = self._batches(watch, part.table, mine)
        with tqdm(total=len(mine), desc=split, disable=not self.is_main, mininterval=1) as bar:
            for rows, kept in _gathered(batches, bar):
                self._write(found, np.array(rows), kept, part.table)

    def _batches(self, watch: Watch, table: Any, rows: Sequence[int]) -> Iterator[tuple[list[int], list[Found]]]:
        """Batches of rows with their features; one image at a time where a batch of several cannot be told apart."""

        def encoded(batch: Sequence[int]) -> tuple[list[Any], Any]:
            conversations = [self._conversation(table[row]) for row in batch]
            return conversations, self._encoder.encode(conversations)

        def run(batch: list[int], prepared: tuple[list[Any], Any]) -> list[Found]:
            conversations, inputs = prepared
            found = watch.features(self._generator.on_device(inputs))
            if found is None:
                alone = [([one], self._encoder.encode([one])) for one in conversations]
                return [features for row, one in zip(batch, alone, strict=True) for features in run([row], one)]
            arrays = {name: values.cpu().numpy() for name, values in found.items()}
            return [{name: values[place : place + 1] for name, values in arrays.items()} for place in range(len(batch))]

        return BatchRunner(self._size, _WORKERS).map(rows, encoded, run)

    def _conversation(self, document: Mapping[str, Any]) -> Conversation:
        image = {"type": "image", "url": image_of(self._prepared, document)}
        return [{"role": "user", "content": [image, {"type": "text", "text": _question(document)}]}]

    def _write(self, found: Mapping[str, Column], rows: Rows, kept: Found, table: Any) -> None:
        for name, values in kept.items():
            broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if broken.any():
                raise ModelError(
                    f"the features at {name} of {broken.sum()} of {len(rows)} documents are no numbers, for example of "
                    f"{table[int(rows[broken][0])]['id']}: the model overflows in {self._model.dtype}. "
                    "Give --dtype bfloat16 or float32, or mend its weights"
                )
            fresh = ~found[name].there()[rows]
            found[name].write(rows[fresh], values[fresh])


def _question(document: Mapping[str, Any]) -> str:
    """The direct question for the fine concept, without any label of the document: the name begins after it."""
    return ask(document, "direct", "fine", "none")


def _gathered(batches: Iterator[tuple[list[int], list[Found]]], bar: Any) -> Iterator[tuple[list[int], Found]]:
    """Batches put together until they are worth writing."""
    rows: list[int] = []
    kept: list[Found] = []
    for batch, found in batches:
        rows, kept = rows + batch, kept + found
        bar.update(len(batch))
        if len(rows) >= _KEPT or len(rows) * sum(values.nbytes for values in kept[0].values()) >= _KEPT_BYTES:
            yield rows, _joined(kept)
            rows, kept = [], []
    if rows:
        yield rows, _joined(kept)


def _joined(kept: Sequence[Found]) -> Found:
    shapes = {name: {one[name].shape[1:] for one in kept} for name in kept[0]}
    for name, seen in shapes.items():
        if len(seen) > 1:
            counts = sorted(shape[0] for shape in seen)
            raise ProbeError(
                f"{name}: images of this dataset have {counts[0]} to {counts[-1]} positions in this model; "
                "attention pooling needs the same number for all. Leave it out of --pooling"
            )
    return {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}
