"""Pictures of one split that show a part of one of another: cropped, rescaled, compressed anew, or mirrored.

A hash of the whole picture changes when it is cropped. So points of it are described (SIFT, Lowe 2004; compared by the square
roots of their entries, Arandjelović & Zisserman 2012), the nearest ones among those of all test images are looked up, and an
image counts as found if enough of its points lie in it as one shift, turn and scale would put them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from tqdm import tqdm

from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.prepared import Prepared, data_dir
from finer_tasks.errors import DatasetContentError
from finer_tasks.parsing import parse_json
from finer_tasks.writing import as_json, write_text

Floats = npt.NDArray[np.float32]
LEAST_POINTS = 6  # docs/datasets.md has what was found with which number
_POINTS = 150
_LONGEST = 400  # pixels: points of larger pictures are looked for in a smaller one
_CONTRAST = 0.02
_RATIO = 0.85  # of the distance to the nearest point of any other image
_RADIUS = 3.0
_SCALES = 0.2, 5.0
_CANDIDATES = 5
_BLOCK = 4000  # test images that are looked in at a time, about 300 MB
_VERSION = 1


@dataclass(frozen=True)
class SharedPart:
    """Rows of a train and a test image that show the same, by how many points; `mirrored`: one being seen in a mirror."""

    train: int
    test: int
    points: int
    mirrored: bool


class Match(NamedTuple):
    """The image that another was found in: its row in the index, and by how many points."""

    row: int
    points: int


class _Described(NamedTuple):
    """Points of an image, shape (points, 2), and what each looks like, shape (points, 128)."""

    places: Floats
    looks: Floats


class PartIndex:
    """Images among which others are looked for."""

    def __init__(self, images: Iterable[Image.Image | None]) -> None:
        """From the images in the order of their rows; None for one that cannot be decoded."""
        import cv2

        cv2.setRNGSeed(0)
        described = [_describe(image) for image in images]
        self._owners = np.repeat(np.arange(len(described)), [len(one.places) for one in described])
        self._places = np.concatenate([one.places for one in described] or [np.zeros((0, 2), np.float32)])
        self._matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 32})
        if len(self._owners):
            self._matcher.add([np.concatenate([one.looks for one in described])])
            self._matcher.train()

    def find(self, image: Image.Image | None) -> Match:
        """The image that shows most of this one; with 0 points where there is none."""
        one = _describe(image)
        if len(one.places) < LEAST_POINTS or len(self._owners) < LEAST_POINTS:
            return Match(0, 0)
        near: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for found in self._matcher.knnMatch(one.looks, k=3):
            if len(found) < 2:
                continue
            best, *rest = found
            owner = int(self._owners[best.trainIdx])
            other = next((match for match in rest if self._owners[match.trainIdx] != owner), rest[-1])
            if best.distance < _RATIO * other.distance:
                near[owner].append((best.queryIdx, best.trainIdx))
        likely = sorted(near.items(), key=lambda item: -len(item[1]))[:_CANDIDATES]
        matches = (Match(row, self._agreeing(one.places, np.array(pairs))) for row, pairs in likely)
        return max(matches, key=lambda match: match.points, default=Match(0, 0))

    def _agreeing(self, places: Floats, pairs: npt.NDArray[np.int64]) -> int:
        """How many different points lie as one shift, turn and scale puts them."""
        import cv2

        if len(pairs) < LEAST_POINTS:
            return 0
        here, there = places[pairs[:, 0]], self._places[pairs[:, 1]]
        moved, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=_RADIUS, maxIters=500, confidence=0.99)
        if moved is None or not _SCALES[0] < np.hypot(moved[0, 0], moved[1, 0]) < _SCALES[1]:
            return 0
        chosen = agree.ravel() > 0
        return min(len(np.unique(np.round(side[chosen]), axis=0)) for side in (here, there))


def shared_parts(prepared: Prepared) -> list[SharedPart]:
    """Train images that show part of a test image, or of its mirror image, or the other way round, most points first.

    For each train image the one test image with most points is given. Kept on disk, since it takes long.
    """
    contents = prepared.manifest.contents
    path = data_dir() / "hashes" / f"{prepared.manifest.dataset}-parts{_VERSION}-{contents['train']}-{contents['test']}.json"
    with suppress(OSError, ValueError, TypeError):  # absent, or damaged and made anew
        return [SharedPart(**part) for part in parse_json(path.read_bytes())]
    tables = prepared.tables()
    best: dict[int, SharedPart] = {}
    for start in range(0, len(tables["test"]), _BLOCK):
        block = tables["test"].select(range(start, min(start + _BLOCK, len(tables["test"]))))
        index = PartIndex(_images(prepared, block, "describe test"))
        for row, image in enumerate(_images(prepared, tables["train"], "look for parts of test images")):
            for mirrored in (False, True):
                found = index.find(ImageOps.mirror(image) if image and mirrored else image)
                if found.points >= LEAST_POINTS and (row not in best or found.points > best[row].points):
                    best[row] = SharedPart(row, start + found.row, found.points, mirrored)
    parts = sorted(best.values(), key=lambda part: (-part.points, part.train))
    write_text(path, as_json([asdict(part) for part in parts]))
    return parts


def _images(prepared: Prepared, table: Iterable[Mapping[str, Any]], what: str) -> Iterator[Image.Image | None]:
    for doc in tqdm(table, desc=what, unit=" images", mininterval=2):
        try:
            yield published_image(prepared, doc)
        except DatasetContentError:
            yield None


def _describe(image: Image.Image | None) -> _Described:
    import cv2

    nothing = _Described(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    if image is None:
        return nothing
    gray = image.convert("L")
    gray.thumbnail((_LONGEST, _LONGEST))
    sift = cv2.SIFT.create(nfeatures=_POINTS, contrastThreshold=_CONTRAST)
    points, looks = sift.detectAndCompute(np.asarray(gray), None)
    if looks is None:
        return nothing
    looks = looks[:_POINTS]
    roots = np.sqrt(looks / np.maximum(looks.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return _Described(np.array([point.pt for point in points[:_POINTS]], np.float32), roots)
