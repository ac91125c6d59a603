"""The site builds without a dead link, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does, to another folder."""
    options = re.findall(r"-m mkdocs build(.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))[0].split()
    command = [sys.executable, "-m", "mkdocs", "build", *options, "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)


def test_dead_links_and_anchors_and_pages_without_a_place_fail(tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs/index.md").open("a", encoding="utf-8") as page:
        page.write("[one](nowhere.md) [two](tasks.md#nowhere) ![three](nowhere.png)")
    (tmp_path / "docs/lost.md").write_text("# Lost", encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert all(name in done.stderr for name in ("nowhere.md", "#nowhere", "nowhere.png", "lost.md"))


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
