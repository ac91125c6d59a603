"""The images of a plan's datasets as the base model's vision encoder sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from finer_tasks.datasets.duplicates import near_tests
from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.datasets.record import concept_key, first_of_each
from finer_tasks.training.reproduce.partition import concepts_with_images
from finer_tasks.training.reproduce.plan import Plan


@dataclass(frozen=True)
class Shown:
    """A document and where its image lies."""

    prepared: Prepared
    document: Mapping[str, Any]
    concept: str


def chosen(plan: Plan, split: str, per_concept: int | None) -> list[Shown]:
    """The first documents of each concept of every dataset, those alone of which both splits have images.

    Of train, those that look like a test image are left out, where the plan drops them from mixtures.
    """
    found = []
    for dataset in plan.datasets:
        prepared = ensure_prepared(dataset)
        wanted = {concept.concept_id for concept in concepts_with_images(dataset)}
        table = prepared.tables()[split]
        copies = _copies(plan, prepared) if split == "train" else np.zeros(len(table), dtype=bool)
        pairs = zip(table, copies, strict=True)
        documents = (document for document, copy in pairs if document["concept_id"] in wanted and not copy)
        for document in first_of_each(documents, lambda document: document["concept_id"], per_concept):
            found.append(Shown(prepared, document, concept_key(dataset, document["concept_id"])))
    return found


def _copies(plan: Plan, prepared: Prepared) -> np.ndarray:
    """Which train images look like a test image of any of the plan's datasets, as booleans."""
    if plan.near_duplicates == "ignore":
        return np.zeros(len(prepared.tables()["train"]), dtype=bool)
    return near_tests(prepared, map(ensure_prepared, plan.datasets))


@torch.no_grad()
def handed_over(model: Any, processor: Any, shown: Sequence[Shown]) -> torch.Tensor:
    """What a LLaVA's vision encoder hands to its projector, shape (images, tokens, width)."""
    images = [image_of(one.prepared, one.document) for one in shown]
    pixels = processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
    taken: list[torch.Tensor] = []
    handle = model.model.multi_modal_projector.register_forward_pre_hook(lambda _module, given: taken.append(given[0]))
    try:
        model.get_image_features(pixel_values=pixels.to(device=model.device, dtype=model.dtype))
    finally:
        handle.remove()
    return taken[0]
