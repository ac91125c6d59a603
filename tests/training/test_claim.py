"""The folder of an experiment: of one plan, but a plan of which nothing was done may be corrected."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.training.claim import claim
from finer_tasks.training.errors import TrainingError


def test_a_plan_may_be_corrected_until_something_is_done(tmp_path: Path) -> None:
    output = tmp_path / "r"
    assert claim({"steps": 1}, output, ["models"])
    assert not claim({"steps": 1}, output, ["models"])
    assert claim({"steps": 2}, output, ["models"])
    (output / "models").mkdir()
    assert not claim({"steps": 2}, output, ["models"])
    with pytest.raises(TrainingError, match=r"holds a run with another steps \(2\); give another --output"):
        claim({"steps": 1}, output, ["models"])
