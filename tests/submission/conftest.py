"""The built-in dataset for all tests here, and one submission that verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.submission.made import write_submission


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


@pytest.fixture(scope="session")
def archive(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        return write_submission(tmp_path_factory.mktemp("submission"), "Model", 0.7)
