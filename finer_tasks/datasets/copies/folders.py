"""Copies as class folders, with or without folders of splits above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from finer_tasks.datasets.copies.copy import CopyImage
from finer_tasks.datasets.readers.imagefolder import FolderImage, walk_image_folder
from finer_tasks.errors import DatasetLayoutError


@dataclass(frozen=True)
class FolderLayout:
    """The tree below `root`, walked once."""

    root: Path
    source: str
    command: str

    @cached_property
    def splits(self) -> dict[str, int]:
        return dict(Counter(image.split for image in self._images))

    def labels(self, splits: Iterable[str]) -> Iterator[str]:
        wanted = set(splits)
        yield from (image.class_name for image in self._images if image.split in wanted)

    def images(self, split: str) -> Iterator[CopyImage]:
        for image in self._images:
            if image.split == split:
                # Below the folder of its class alone: what lies above it differs from copy to copy.
                name = PurePosixPath(image.class_name, PurePosixPath(image.path).name)
                yield CopyImage(image.class_name, image.path, str(name))

    @cached_property
    def _images(self) -> list[FolderImage]:
        if not (found := list(walk_image_folder(self.root))):
            raise DatasetLayoutError(f"{self.root} holds no images in class folders")
        return found
