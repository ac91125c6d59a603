"""A small mixture of the built-in dataset, built once, and a small run on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, MixtureRecipe
from tests.training.small_runs import arguments


@pytest.fixture(scope="session")
def mixture(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixture") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        build_mixture(MixtureRecipe("t", {"mini": DatasetShare(per_concept=1)}, near_duplicates="ignore"), folder)
    return folder


@pytest.fixture(scope="session")
def unbroken(mixture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that nothing stopped, with all of its checkpoints."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert main(arguments(mixture, folder, "workers=1")) == 0
    return folder
