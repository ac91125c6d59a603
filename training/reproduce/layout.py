"""Where everything of a reproduction lies.

OUTPUT/plan.json, groups.json         what is done; another plan needs another folder
OUTPUT/data/                          the test images that are shown, where the plan takes a part of them
OUTPUT/features/                      what a frozen vision encoder makes of each image
OUTPUT/bases/SEED/                    vision/, text/ and model/: the base model after each of its stages
OUTPUT/probes/SEED.json               what linear probes read from it
OUTPUT/mixtures/SEED/GROUP/STYLE/     the same images in both styles, without the group's concepts
OUTPUT/runs/SEED/GROUP/STYLE/         one adapter each
OUTPUT/evaluations/SEED/…             what lmms-eval wrote for the base model and each adapter; of a ready
                                      checkpoint, evaluations/checkpoint/ and probes/checkpoint.json
OUTPUT/locks/                         what keeps processes off each other's pieces
OUTPUT/report.json, table.md, summary.html, summary.png, summary.svg
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The folders that hold work: without them, nothing of a plan was done.
DONE = ("features", "bases", "probes", "mixtures", "runs", "evaluations")


@dataclass(frozen=True)
class Layout:
    """The paths below the folder of a reproduction."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def features(self) -> Path:
        return self.root / "features"

    @property
    def groups(self) -> Path:
        return self.root / "groups.json"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def base(self, seed: int, stage: str = "model") -> Path:
        return self.root / "bases" / str(seed) / stage

    def probe(self, base: str) -> Path:
        return self.root / "probes" / f"{base}.json"

    def mixture(self, seed: int, group: str, style: str) -> Path:
        return self.root / "mixtures" / str(seed) / _safe(group) / style

    def run(self, seed: int, group: str, style: str) -> Path:
        return self.root / "runs" / str(seed) / _safe(group) / style

    def base_evaluation(self, base: str) -> Path:
        return self.root / "evaluations" / base / "base"

    def evaluation(self, seed: int, group: str, style: str) -> Path:
        return self.root / "evaluations" / str(seed) / _safe(group) / style


def _safe(group: str) -> str:
    """A group's name as that of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in group)
