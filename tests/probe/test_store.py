"""Features on disk: nothing overflows, nothing is taken for what is not there, nothing of another origin is mixed in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finer_tasks.probe.results import ProbeError
from finer_tasks.probe.store import Column, claim


def test_rows_are_kept_also_beyond_the_range_of_float16(tmp_path: Path) -> None:
    column = Column.create(tmp_path / "train" / "language.3.last.npy", (5, 3))
    values = np.array([[1.5, -2.25, 0.0], [1e6, -70_000.0, 3.0]], dtype=np.float32)
    column.write(np.array([4, 1]), values)
    assert column.there().tolist() == [False, True, False, False, True]
    assert np.allclose(column.read(np.array([4, 1])), values, rtol=1e-3)
    assert np.isfinite(np.load(column.path)).all()


def test_columns_are_found_again_and_never_made_over(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    Column.create(path, (2, 4, 3)).write(np.array([1]), np.ones((1, 4, 3), dtype=np.float32))
    assert Column.create(path, (2, 4, 3)).there().tolist() == [False, True]
    with pytest.raises(ProbeError, match=r"shape \(2, 4, 3\), the model gives \(2, 4, 5\)"):
        Column.create(path, (2, 4, 5))


def test_a_folder_belongs_to_one_origin(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    claim(folder, {"weights": "a", "data": {"test": "x"}})
    claim(folder, {"weights": "a", "data": {"test": "x"}})
    with pytest.raises(ProbeError, match="another probe: weights differ"):
        claim(folder, {"weights": "b", "data": {"test": "x"}})
    (folder / "made.json").write_text("{")
    with pytest.raises(ProbeError, match=r"made\.json cannot be read"):
        claim(folder, {"weights": "a"})
    for mine in ("features/thesis.txt", "probe.json"):
        path = tmp_path / mine.replace("/", "-") / mine
        path.parent.mkdir(parents=True)
        path.write_text("x")
        with pytest.raises(ProbeError, match="not of a probe whose features are here"):
            claim(tmp_path / mine.replace("/", "-") / "features", {"weights": "a"})
        assert path.read_text() == "x"
