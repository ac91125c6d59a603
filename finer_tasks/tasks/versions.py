"""What changed the scores of tasks, release by release: the version of every task follows from it.

Raise a version by writing down why: a release counts once for every task that one of its changes concerns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Change:
    """Why answers to some tasks may score otherwise than before.

    Attributes:
        release: the release of finer-tasks that brought it.
        reason: what is scored otherwise, in a sentence.
        datasets: whose tasks it concerns; all where none is named.
        names: whether it concerns the tasks that ask for a name.
        lists: whether it concerns the tasks that ask for lists of attributes.
    """

    release: str
    reason: str
    datasets: tuple[str, ...] = ()
    names: bool = True
    lists: bool = False

    def concerns(self, dataset: str) -> bool:
        """Whether it concerns any task of the dataset."""
        return dataset in self.datasets or not self.datasets


# Latest first.
CHANGES = (
    Change(
        "0.2.0",
        "`em_strict` reads how a name is used (negated, contrasted, compared, hedged, an alternative, a hybrid), fields and "
        "JSON, plurals, and suffixes of designations.",
    ),
    Change(
        "0.2.0",
        "A request that failed or a thought that never ended is never right; thoughts and the tags around answers are removed "
        "before scoring.",
        lists=True,
    ),
    Change(
        "0.2.0",
        "Headings, labelled items and `none` in lists of attributes are read as meant; contradictions are about one part.",
        names=False,
        lists=True,
    ),
    Change(
        "0.2.0",
        "Images are turned by their EXIF orientation; transparency and 16-bit gray are converted.",
        ("cub", "aircraft", "dogs", "cars", "nabirds", "inat"),
        lists=True,
    ),
    Change("0.2.0", "Finch is accepted for Pine Grosbeak and Evening Grosbeak at coarse level.", ("cub",)),
    Change("0.2.0", "Bombardier Aerospace is accepted for the CRJs and the Challenger at coarse level.", ("aircraft",)),
    Change(
        "0.2.0",
        "The first coarse label of 6 classes changed. No longer accepted: Sennenhund for Great Pyrenees, Herding or Shepherd "
        "dog for kuvasz, komondor and schipperke, Companion dog for toy terrier.",
        ("dogs",),
    ),
    Change(
        "0.2.0",
        "The first coarse label of 7 classes changed: station wagons are Wagon, which the coarse question offers as a choice; "
        "Van stays accepted for them.",
        ("cars",),
    ),
    Change(
        "0.2.0",
        "The first coarse label of 31 classes changed. No longer accepted: Jay for Clark's Nutcracker, Longspur for Snow "
        "Bunting.",
        ("nabirds",),
    ),
    Change(
        "0.2.0",
        "Coarse labels go by genus where the family misleads, and plain nouns are accepted; many first labels changed.",
        ("inat",),
    ),
)  # fmt: skip


def version_of(dataset: str, lists: bool) -> float:
    """metadata.version of the tasks of a dataset that ask for a name, or for lists: 1.0, and one more for each release."""
    releases = history(dataset)
    return (releases[0].lists if lists else releases[0].names) if releases else 1.0


def changes_of(dataset: str) -> Iterator[Change]:
    """The changes that concern a dataset, latest first."""
    return (change for change in CHANGES if change.concerns(dataset))


@dataclass(frozen=True)
class Release:
    """What a release changed for a dataset, and the versions of its tasks since then."""

    release: str
    reasons: tuple[str, ...]
    names: float
    lists: float


def history(dataset: str) -> list[Release]:
    """The releases that changed scores of a dataset, latest first; the first version of all is not among them."""
    found: list[Release] = []
    names = lists = 1.0
    for release, group in groupby(reversed(list(changes_of(dataset))), key=lambda change: change.release):
        changes = list(reversed(list(group)))
        names += any(change.names for change in changes)
        lists += any(change.lists for change in changes)
        found.append(Release(release, tuple(change.reason for change in changes), names, lists))
    return found[::-1]
