"""What identifies the images that a model sees: the prepared data, and how they are perturbed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from finer_tasks.datasets.boxes import Box
from finer_tasks.datasets.images import image_size
from finer_tasks.datasets.perturb import VERSION, Perturbation, PerturbationError, active_perturbation, boxes_of, parse
from finer_tasks.datasets.prepared import Prepared
from finer_tasks.errors import DatasetContentError

_LOOKED_AT = 200
# Annotators' boxes may stick out by a little; of images that were shrunk, nearly all do by a lot.
_SLACK, _FEW = 1.02, 0.05


def seen_data(prepared: Prepared, split: str) -> dict[str, Any]:
    """What identifies the data that a model sees of a split: `data_fingerprint`, and `perturbation` where there is one.

    The fingerprint differs from that of the same images as published, so that whatever compares it refuses to mix them.
    """
    published = prepared.manifest.contents[split]
    if (perturbation := active_perturbation()) is None:
        return {"data_fingerprint": published}
    told = described(perturbation, prepared, split)
    shown = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    return {"data_fingerprint": f"{published}+{perturbation}@{shown}", "perturbation": told}


def described(perturbation: Perturbation, prepared: Prepared, split: str) -> dict[str, Any]:
    """A perturbation of a split, as results record it; `of` is the fingerprint of the data as published."""
    told: dict[str, Any] = {
        "name": perturbation.name,
        "severity": perturbation.severity,
        "seed": perturbation.seed,
        "what": perturbation.kind.what.format(perturbation.amount),
        "version": VERSION,
        "of": prepared.manifest.contents[split],
    }
    return told | (_places(prepared, split) if perturbation.kind.placed else {})


@cache
def _places(prepared: Prepared, split: str) -> dict[str, Any]:
    """How many images have a box, and a fingerprint of all boxes: where there is none, the patch may be anywhere."""
    boxes, images = boxes_of(prepared, split), prepared.tables()[split]["image"]
    known = [(image, boxes[image]) for image in images if image in boxes]
    if not prepared.manifest.embedded:
        _require_published_size(prepared, known)
    content = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16] if known else ""
    return {"boxes": content, "images_with_a_box": len(known), "images_without_a_box": len(images) - len(known)}


def _require_published_size(prepared: Prepared, known: Sequence[tuple[str, tuple[Box, ...]]]) -> None:
    """Raise PerturbationError where boxes do not fit the images, which somebody has resized; looks at some of them."""
    some = known[:: max(1, len(known) // _LOOKED_AT)]
    outside = [image for image, boxes in some if not _fit(Path(prepared.manifest.root) / image, boxes)]
    if len(outside) > _FEW * len(some):
        raise PerturbationError(
            f"{prepared.manifest.dataset}: the published boxes reach beyond the images, for example beyond "
            f"{Path(prepared.manifest.root) / outside[0]}: this copy's images were resized. Use the images as published, "
            "or a perturbation that needs no boxes"
        )


def _fit(path: Path, boxes: Sequence[Box]) -> bool:
    try:
        width, height = image_size(path)
    except DatasetContentError:
        return True  # told, and counted, when the image is opened
    return all(box.right <= width * _SLACK + 1 and box.bottom <= height * _SLACK + 1 for box in boxes)


def published_fingerprint(identity: Mapping[str, Any]) -> str:
    """Of the data of a result, before any perturbation."""
    return str(identity.get("perturbation", {}).get("of") or identity["data_fingerprint"])


def perturbation_of(identity: Mapping[str, Any], prepared: Prepared) -> Perturbation | None:
    """The perturbation of a result, as these data and this version give it; raises PerturbationError if they cannot."""
    told = identity.get("perturbation")
    if told is None:
        return None
    try:
        found = parse(f"{told['name']}:{told['severity']}:{told['seed']}")
    except (LookupError, TypeError) as error:
        raise PerturbationError(f"a result tells no perturbation that this version knows: {told!r:.80}") from error
    if described(found, prepared, "test") != told:
        raise PerturbationError(f"{found} gives other images here than those of the result")
    return found
