"""The site builds without a dead link, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_fetches_nothing(site: Path) -> None:
    for page in pages():
        if page.is_relative_to(ROOT / "docs"):
            html = (site / page.with_suffix(".html").name).read_text(encoding="utf-8")
            assert not re.search(r"<(script|img|iframe)[^>]*src=\"?https?:|<link[^>]*stylesheet[^>]*https?:|@import", html), (
                page
            )


def test_links_of_readme_and_contributing_are_not_dead() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).is_file(), f"{page.name}: {target}"
