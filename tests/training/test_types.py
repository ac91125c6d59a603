"""mypy sees finer_tasks.training: the folder lies at the top, and a link at finer_tasks/training shows it where it is imported."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Enough of both sides for the border between them, without what takes mypy a minute to read.
FILES = ("setup.cfg", "finer_tasks/__init__.py", "finer_tasks/errors.py", "finer_tasks/text.py", "training/__init__.py",
         "training/errors.py", "training/mixture/__init__.py", "training/mixture/templates.py")  # fmt: skip
SOUND = "from finer_tasks.training.mixture.templates import load_templates\n\nfirst: str = load_templates()['slot'][0]\n"
PLANTED = {
    "training takes another part of training for what it is not": (SOUND.replace("str", "int"), "assignment"),
    "training gives finer_tasks what it does not take": (
        "from finer_tasks.errors import at_line\n\ntext = at_line('file', 'three', 'problem')\n",
        "arg-type",
    ),
    "what training derives from finer_tasks is known": (
        "from finer_tasks.training.errors import TrainingError\n\nnumber: int = TrainingError('text')\n",
        "assignment",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A part of the sources, laid out as in a clone."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "finer_tasks/training", tmp_path / "finer_tasks/training", follow_symlinks=False)
    return tmp_path


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """mypy as `make lint` runs it."""
    (arguments,) = re.findall(r"\$\(BIN\)/mypy (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "mypy", *arguments.split()]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_a_type_error_across_the_border_fails_the_lint(copy: Path) -> None:
    planted = copy / "training/planted.py"
    planted.write_text(SOUND)
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    for case, (text, code) in PLANTED.items():
        planted.write_text(text)
        done = lint(copy)
        assert done.returncode == 1, case
        assert re.search(rf"^finer_tasks/training/planted.py:3: error: .*\[{code}\]$", done.stdout, re.M), done.stdout
