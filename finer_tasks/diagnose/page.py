"""A diagnosis as one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import finer_tasks
from finer_tasks.diagnose.diagnosis import RULES, Diagnosis
from finer_tasks.diagnose.picture import colour, draw
from finer_tasks.diagnose.verdict import FATES, UNDECIDED
from finer_tasks.runs.pages import page_environment
from finer_tasks.writing import write_text


def write_page(model: str, found: Sequence[Diagnosis], output: Path) -> None:
    """Write the page under a temporary name, then rename."""
    source = (resources.files("finer_tasks.diagnose") / "diagnosis.html.j2").read_text(encoding="utf-8")
    text = (
        page_environment()
        .from_string(source)
        .render(
            model=model, found=found, picture=draw, colour=colour, rules=RULES, fates=FATES,
            undecided=UNDECIDED, version=finer_tasks.__version__,
        )
    )  # fmt: skip
    write_text(output, text)
