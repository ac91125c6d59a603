"""What the guides state of the code and the datasets, held against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata

import pytest
import yaml

import finer_tasks
from finer_tasks.datasets.perturb import KINDS
from finer_tasks.datasets.registry import READERS
from finer_tasks.tasks.table import DIRECT, VARIANTS, Variant
from tests.docs.pages import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_questions_of_where_are_answered_by_a_file_and_a_name_in_it() -> None:
    answers = re.findall(r"^\| Where .*\? \| `([^`]+)`, `([^`]+)` \|$", text("docs/architecture.md"), re.M)
    assert len(answers) >= 10
    assert len(answers) == text("docs/architecture.md").count("\n| Where ")
    for path, name in answers:
        defined = rf"^ *(def|class) {name}\b" if path.endswith(".py") else rf"^{name}:"
        assert re.search(rf"{defined}|^{name}\b.* = ", text(path), re.M), (path, name)


def test_every_folder_of_the_package_is_told() -> None:
    told = text("docs/architecture.md")
    folders = {path.parent.name for path in (ROOT / "finer_tasks").glob("*/__init__.py")} - {"training"}
    assert [name for name in folders if f"`finer_tasks/{name}/`" not in told] == []


@pytest.mark.parametrize("page", ["README.md", "docs/datasets.md"])
def test_the_table_of_datasets_is_right(page: str) -> None:
    for name, reader in READERS.items():
        row = re.search(rf"^\|[^|]*\| `{name}`([^|]*)\| ([0-9,]+).*\| ([0-9,]+) / ([0-9,]+) \|$", text(page), re.M)
        if reader.built_in:
            continue
        assert row, name
        assert ("--download" in row[1]) == bool(reader.origin.archives)
        classes, train, test = (int(number.replace(",", "")) for number in row.groups()[1:])
        assert classes == reader.classes
        assert {"train": train, "test": test} == {"train": 0} | dict(reader.official)


def test_the_severities_of_perturbations_are_right() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d., %]+) \|$", text("docs/robust.md"), re.M))
    assert list(rows) == list(KINDS)
    for name, kind in KINDS.items():
        told = [float(part.rstrip(" %")) / (100 if "%" in part else 1) for part in rows[name].split(", ")]
        assert told == pytest.approx(list(kind.amounts)), name


@pytest.mark.parametrize(
    ("page", "variants"),
    [("README.md", [variant for variant in VARIANTS if variant.submitted]), ("docs/tasks.md", VARIANTS)],
)
def test_every_variant_is_told(page: str, variants: Sequence[Variant]) -> None:
    """The README tells those of the benchmark, and that there are others."""
    told = text(page)
    assert [v.name for v in variants if v is not DIRECT and f"_{v.name}`" not in told] == []


def test_readme_is_short_and_the_citation_is_of_this_version() -> None:
    assert len(text("README.md").splitlines()) <= 130
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == finer_tasks.__version__ == metadata.version("finer-tasks")
    assert f"## {citation['version']} ({citation['date-released']})" in text("CHANGELOG.md")
