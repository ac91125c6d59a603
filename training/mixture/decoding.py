"""Whether images can be decoded, found before a run meets them: many at once, each file once."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from finer_tasks.errors import DatasetContentError

_CHUNK = 1024


class Readable:
    """Tells what keeps an image from being decoded; `open_image` takes a key of an image and raises DatasetContentError."""

    def __init__(self, open_image: Callable[[Any], Any]) -> None:
        self._open = open_image
        self._known: dict[Hashable, str | None] = {}

    def problems(self, keys: Sequence[Hashable]) -> list[str | None]:
        """For each image what is wrong with it, None where it can be decoded."""
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        bar = tqdm(total=len(new), desc="decode images", mininterval=2, disable=len(new) <= _CHUNK)
        with bar, ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside Python's lock
            for start in range(0, len(new), _CHUNK):
                part = new[start : start + _CHUNK]
                self._known.update(zip(part, pool.map(self._problem, part), strict=True))
                bar.update(len(part))
        return [self._known[key] for key in keys]

    def _problem(self, key: Hashable) -> str | None:
        try:
            self._open(key)
        except DatasetContentError as error:
            return str(error)
        return None
