"""The contract of .importlinter: it holds, and each part of it fails where a wrong import is planted."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from finer_tasks.datasets.registry import READERS

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    "Along the road of the data": {
        "finer_tasks/datasets/record.py": "def lazily():\n    from finer_tasks.runs import reading",
        "finer_tasks/cli/main.py": "import finer_tasks.training.recipe",
    },
    "In training": {"finer_tasks/training/mixture/parts.py": "def lazily():\n    import finer_tasks.training.tuning.train"},
    "No circle of files or folders": {
        "finer_tasks/gate/measured.py": "def lazily():\n    from finer_tasks.gate.baseline import read_baseline",
        "finer_tasks/training/recipe.py": "from finer_tasks.training.mixture.recipe import MixtureRecipe",
    },
    "A reader of one dataset": {"finer_tasks/datasets/readers/cub.py": "import finer_tasks.datasets.readers.dogs"},
    "Scoring, statistics and the record": {
        "finer_tasks/text.py": "def lazily():\n    import torch",
        "finer_tasks/statistics/power.py": "import transformers",
    },
    "Scoring opens no image": {
        "finer_tasks/datasets/concepts.py": "def lazily():\n    from finer_tasks.datasets import images"
    },
    "Parts go by their installed names": {
        "finer_tasks/datasets/readers/cub.py": "from training import recipe",
        "finer_tasks/training/recipe.py": "def lazily():\n    import tests.growth",
    },
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package with training inside, as it is installed, and the contract."""
    shutil.copytree(ROOT / "finer_tasks", tmp_path / "finer_tasks", ignore=shutil.ignore_patterns("__pycache__", "finer_mini"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def verdicts(folder: Path) -> dict[str, str]:
    """KEPT or BROKEN by contract."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout
    found = [line.rpartition(" ") for line in printed.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    return {name: verdict for name, _, verdict in found}


def test_the_contract_holds_without_exceptions(copy: Path) -> None:
    assert "ignore_imports" not in (copy / ".importlinter").read_text()
    found = verdicts(copy)
    assert len(found) == len(CONTRACTS)  # each has a planted import below
    assert set(found.values()) == {"KEPT"}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_wrong_import_breaks_its_contract(copy: Path, contract: str) -> None:
    for file, planted in CONTRACTS[contract].items():
        original = (copy / file).read_text()
        (copy / file).write_text(f"{original}\n\n{planted}\n")
        assert {verdict for name, verdict in verdicts(copy).items() if name.startswith(contract)} == {"BROKEN"}
        (copy / file).write_text(original)


def test_every_reader_is_in_the_contract_of_readers() -> None:
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    named = contract["importlinter:contract:readers"]["modules"].split()
    assert {reader.read.__module__ for reader in READERS.values()} | {"finer_tasks.datasets.readers.unified"} == set(named)


def test_no_package_imports_what_imports_it() -> None:
    """No circle among files where an __init__ counts as a file, which the contract does not look at."""
    graph = grimp.build_graph("finer_tasks", cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()
