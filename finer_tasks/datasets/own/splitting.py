"""A split of images that have none: by class, from a seed, and with what is one picture or one thing on one side."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from finer_tasks.datasets.own.sources import Found


def split_of_each(found: Sequence[Found], images: Path, test_share: float, seed: int) -> list[str]:
    """train or test for each image, in their order.

    Of each class about `test_share` of the images is for testing: at least one, and one is kept for training, where the
    share is neither 0 nor 1 and the class has two units that may be parted. A unit is what the owner's list gives one group,
    else all files of one content. Units go to the test by the order of a hash of the seed and their name, so that neither
    the order of the list nor the machine matters.
    """
    units = _units(found, images)
    classes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one, unit in zip(found, units, strict=True):
        classes[one.class_name][unit] += 1
    tested: set[str] = set()
    for sizes in classes.values():
        tested |= _tested(sizes, test_share, seed)
    return ["test" if unit in tested else "train" for unit in units]


def _tested(sizes: dict[str, int], share: float, seed: int) -> set[str]:
    """The units of a class that are for testing."""
    order = sorted(sizes, key=lambda unit: hashlib.sha256(f"{seed}/{unit}".encode()).digest())
    wanted = share * sum(sizes.values())
    taken: set[str] = set()
    count = 0
    for unit in order:
        if count + sizes[unit] / 2 > wanted:
            break
        taken.add(unit)
        count += sizes[unit]
    if 0 < share < 1:
        taken = taken or set(order[:1])
        if len(taken) == len(order) > 1:
            taken.discard(order[-1])
    return taken


def _units(found: Sequence[Found], images: Path) -> list[str]:
    """The name of the unit of each image. Only files of one size are read, to see whether they are one."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for one in found:
        path = images / one.image
        if not one.group and path.is_file():
            by_size[path.stat().st_size].append(one.image)
    alike = [image for group in by_size.values() if len(group) > 1 for image in group]
    shown = tqdm(alike, desc="looking for copies", unit=" images", mininterval=1)
    same = {image: _content(images / image) for image in shown}
    first: dict[str, str] = {}
    for image in sorted(same):
        first.setdefault(same[image], image)
    return [f"group {one.group}" if one.group else first[same[one.image]] if one.image in same else one.image for one in found]


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
