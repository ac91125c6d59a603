"""Hard negatives for multiple choice: which wrong names a model finds most alike to an image, or to the right name."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from loguru import logger
from PIL import Image
from tqdm import tqdm

from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.errors import DatasetContentError, ModelError, in_one_line
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.models.loading import choose_device
from finer_tasks.options.choosing import LEVELS, kinds_of, names_of
from finer_tasks.options.negatives import By, Negatives, names_fingerprint
from finer_tasks.options.settings import ChoicesError

Features = npt.NDArray[np.float32]
SPLIT = "test"


@dataclass(frozen=True)
class Wanted:
    """What to find. `keep`: how many wrong names of each image or name; `template` holds {} for the name."""

    dataset: str
    model: str
    by: By
    template: str
    keep: int = 16
    batch_size: int = 32
    device: str | None = None


def find_negatives(wanted: Wanted) -> Negatives:
    """The hard negatives of a dataset's coarse and fine level, by cosine similarity; with a bar of progress.

    By image, the features of each document's image are compared with those of all names of the level, as FOCI does (Geigle et
    al. 2024, arXiv 2406.14496); a document whose image cannot be decoded is taken for its own name. By name, the
    features of names are compared with each other. Raises ModelError, ChoicesError and what opening the dataset raises.
    """
    if wanted.template.count("{}") != 1:
        raise ChoicesError(f"--template {wanted.template!r:.80} needs {{}} once, in the place of the name")
    prepared, dataset = ensure_prepared(wanted.dataset), wanted.dataset
    names = names_of(dataset)
    model: _ImagesAndTexts | _Sentences = _ImagesAndTexts(wanted) if wanted.by == "image" else _Sentences(wanted)
    features = {level: model.texts([wanted.template.format(name) for name in names[level].values()]) for level in LEVELS}
    if isinstance(model, _ImagesAndTexts):
        require_as_published("finer negatives")
        prepared.check(SPLIT)
        nearest = _by_image(prepared, model, features, wanted)
    else:
        nearest = {level: _by_name(dataset, level, features[level], wanted.keep) for level in LEVELS}
    return Negatives(
        dataset=dataset,
        by=wanted.by,
        model=wanted.model,
        weights=weights_fingerprint({"pretrained": wanted.model}),
        template=wanted.template,
        split=SPLIT if wanted.by == "image" else "",
        data=prepared.manifest.contents[SPLIT] if wanted.by == "image" else names_fingerprint(names),
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        nearest=nearest,
    )


def _by_name(dataset: str, level: str, features: Features, keep: int) -> dict[str, tuple[str, ...]]:
    keys = list(kinds_of(dataset, level))
    return {key: _most_alike(features @ features[row], keys, key, keep) for row, key in enumerate(keys)}


def _by_image(
    prepared: Prepared, model: _ImagesAndTexts, features: Mapping[str, Features], wanted: Wanted
) -> dict[str, dict[str, tuple[str, ...]]]:
    keys = {level: list(kinds_of(wanted.dataset, level)) for level in LEVELS}
    found: dict[str, dict[str, tuple[str, ...]]] = {level: {} for level in LEVELS}
    table = prepared.tables()[SPLIT]
    bar = tqdm(total=len(table), desc="finer negatives", mininterval=1)
    for docs in _batches(table, wanted.batch_size):
        images = [_image(prepared, doc) for doc in docs]
        shown = [image for image in images if image is not None]
        seen = iter(model.images(shown) if shown else ())
        for doc, image in zip(docs, images, strict=True):
            right = {"coarse": doc["coarse"][0], "fine": doc["concept_id"]}
            own = features["fine"][keys["fine"].index(right["fine"])]
            looks = own if image is None else next(seen)
            for level in LEVELS:
                alike = features[level] @ looks
                found[level][doc["id"]] = _most_alike(alike, keys[level], right[level], wanted.keep)
        bar.update(len(docs))
    bar.close()
    return found


def _image(prepared: Prepared, doc: Mapping[str, Any]) -> Image.Image | None:
    try:
        return published_image(prepared, doc)
    except DatasetContentError as error:
        logger.warning(f"{doc['id']}: {error}. Its name is taken instead")
        return None


def _batches(table: Any, size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(table), size):
        yield [table[number] for number in range(start, min(start + size, len(table)))]


def _most_alike(similarity: Features, keys: Sequence[str], right: str, keep: int) -> tuple[str, ...]:
    """The keys with the highest similarity but for the right one; of equal ones the first."""
    order = np.argsort(-similarity, kind="stable")[: keep + 1]
    return tuple(keys[place] for place in order if keys[place] != right)[:keep]


class _Sentences:
    """Names by a model of sentence-transformers."""

    def __init__(self, wanted: Wanted) -> None:
        from sentence_transformers import SentenceTransformer

        self.batch_size = wanted.batch_size
        with _loading(wanted.model, "sentence-transformers"):
            self.model = SentenceTransformer(wanted.model, device=str(choose_device(wanted.device)))

    def texts(self, texts: Sequence[str]) -> Features:
        found: Features = self.model.encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return found


class _ImagesAndTexts:
    """Names and images by a model of transformers that has features of both, such as CLIP or SigLIP."""

    def __init__(self, wanted: Wanted) -> None:
        from transformers import AutoModel, AutoProcessor

        self.batch_size, self.device = wanted.batch_size, choose_device(wanted.device)
        with _loading(wanted.model, "transformers"):
            self.processor = AutoProcessor.from_pretrained(wanted.model)
            self.model = AutoModel.from_pretrained(wanted.model).eval().to(self.device)
        if not (hasattr(self.model, "get_image_features") and hasattr(self.model, "get_text_features")):
            raise ModelError(f"{wanted.model} has no features of images and texts. Give a model such as CLIP or SigLIP")
        # SigLIP was trained on texts padded to full length.
        self.padding = "max_length" if "siglip" in self.model.config.model_type else True

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Features:
        found = []
        for start in range(0, len(texts), self.batch_size):
            some = list(texts[start : start + self.batch_size])
            inputs = self.processor(text=some, return_tensors="pt", padding=self.padding, truncation=True).to(self.device)
            found.append(_unit(self.model.get_text_features(**inputs)))
        return np.concatenate(found)

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> Features:
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.device)
        return _unit(self.model.get_image_features(**inputs))


def _unit(found: Any) -> Features:
    """Features of unit length; transformers 5 hands them over in an output with other things."""
    features = getattr(found, "pooler_output", found)
    unit: Features = torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
    return unit


@contextmanager
def _loading(model: str, library: str) -> Iterator[None]:
    """Turn what a library raises for a model that it cannot load into a ModelError."""
    try:
        yield
    except Exception as error:  # many kinds, for whatever the files of a model can be wrong in
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{model} cannot be loaded by {library}: {in_one_line(error)}") from error
