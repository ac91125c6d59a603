"""The files of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import finer_tasks
from finer_tasks.diagnose.diagnosis import RULES, Diagnosis
from finer_tasks.diagnose.evidence import STAGES
from finer_tasks.diagnose.holding import ALPHA, FALSE_LOSSES, KEPT
from finer_tasks.diagnose.page import write_page
from finer_tasks.diagnose.picture import draw
from finer_tasks.writing import as_json, write_text

FIGURES, PAGE = "diagnosis.json", "diagnosis.html"


def as_document(model: str, found: Sequence[Diagnosis]) -> Mapping[str, Any]:
    """What diagnosis.json holds."""
    return {
        "kind": "finer-diagnosis",
        "schema_version": 1,
        "finer_version": finer_tasks.__version__,
        "model": model,
        "stages": list(STAGES),
        "rules": RULES,
        "alpha": ALPHA,
        "false_losses": FALSE_LOSSES,
        "kept": KEPT,
        "levels": [asdict(one) for one in found],
    }


def write_diagnosis(model: str, found: Sequence[Diagnosis], folder: Path) -> list[Path]:
    """Write figures, page and a picture for each level; returns the files."""
    paths = [folder / FIGURES, folder / PAGE]
    write_text(paths[0], as_json(as_document(model, found)) + "\n")
    write_page(model, found, paths[1])
    for one in found:
        paths.append(folder / f"path-{one.dataset}-{one.level}.svg")
        write_text(paths[-1], draw(one))
    return paths
