"""Fixtures: a data directory of its own for every test, and one with mini for the whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from finer_tasks.datasets import prepared
from finer_tasks.datasets.prepare import ensure_prepared

REAL = Path(__file__).resolve().parents[2] / "shared" / "fgvc"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test touches the user's data directory or sees the user's settings."""
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "finer-data"))
    monkeypatch.setenv("FINER_TASKS_DIR", str(tmp_path / "finer-tasks"))
    monkeypatch.delenv("FINER_PROMPTS", raising=False)
    monkeypatch.delenv("FINER_PERTURB", raising=False)
    monkeypatch.delenv("FINER_SIMILARITY", raising=False)
    monkeypatch.delenv("FINER_CHOICES", raising=False)
    prepared.forget_loaded()
    yield
    prepared.forget_loaded()


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that holds mini, prepared once for all workers."""
    folder = tmp_path_factory.getbasetemp() / "shared-data"
    if "PYTEST_XDIST_WORKER" in os.environ:  # a worker's folder lies in that of the run
        folder = tmp_path_factory.getbasetemp().parent / "shared-data"
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(folder))
        ensure_prepared("mini")
    return folder


@pytest.fixture
def mini_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a test that uses mini."""
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))
    prepared.forget_loaded()
    return shared_data


@pytest.fixture
def real() -> Path:
    """The folder with real metadata and photos of the datasets; the test is skipped where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"real metadata not found at {REAL}")
    return REAL
