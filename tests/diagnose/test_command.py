"""`finer diagnose` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.diagnose.running import tasks_of

OWN = ["diagnose", "--pretrained", "finer-mini", "--dataset", "mini", "--device", "cpu"]


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.usefixtures("mini_data")
def test_it_runs_what_is_missing_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Sixteen documents at fine level; then the same again, another level, other documents, and the runs by themselves."""
    output = tmp_path / "out"
    words = [*OWN, "--output", str(output), "--per-concept", "2", "--batch-size", "16"]
    assert main([*words, "--limit", "16", "--levels", "fine"]) == 0
    assert "what becomes of it" in capfd.readouterr().out
    before = times(output / "runs") | times(output / "probe")
    assert main([*words, "--limit", "16", "--levels", "fine", "--json"]) == 0
    assert times(output / "runs") | times(output / "probe") == before
    first = json.loads(capfd.readouterr().out)
    assert [level["level"] for level in first["levels"]] == ["fine"]
    assert main([*words, "--limit", "16", "--levels", "superordinate,fine", "--json"]) == 0
    both = json.loads(capfd.readouterr().out)
    assert [level["level"] for level in both["levels"]] == ["fine", "superordinate"]
    assert both["levels"][0]["verdicts"] == first["levels"][0]["verdicts"]
    assert before.items() >= times(output / "runs" / "00").items()
    assert main([*words, "--limit", "17", "--levels", "fine"]) == 2
    assert "holds another diagnosis: limit differ" in capfd.readouterr().err
    joined = ["diagnose", str(output / "runs" / "00"), "--probe", str(output / "probe"), "--output", str(tmp_path / "joined")]
    assert main([*joined, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["levels"] == first["levels"]


@pytest.mark.usefixtures("mini_data")
def test_what_cannot_be_diagnosed_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    to = ["--output", str(output)]
    calls = {
        "holds files that are not of a diagnosis": [*OWN, *to],
        "--levels species: no level": [*OWN, *to, "--levels", "species"],
        "give either result folders, or --pretrained": ["diagnose", *to],
        "--pretrained needs --dataset": ["diagnose", "--pretrained", "finer-mini", *to],
        "makes its own probe: leave out --probe": [*OWN, *to, "--probe", str(tmp_path)],
        "no *_results.json below it": ["diagnose", str(tmp_path), *to],
    }
    for told, words in calls.items():
        assert main(words) == 2
        assert told in capfd.readouterr().err
    assert (output / "thesis.txt").read_text() == "mine"
    assert len(list(output.iterdir())) == 1


@pytest.mark.usefixtures("mini_data")
def test_a_dataset_without_attributes_is_asked_the_rest() -> None:
    assert tasks_of("mini", ["fine"]) == [
        "finer_mini_attributes", "finer_mini_fine", "finer_mini_fine_closed", "finer_mini_fine_text",
    ]  # fmt: skip
    assert tasks_of("nabirds", ["fine", "superordinate"]) == [
        "finer_nabirds_fine", "finer_nabirds_fine_closed", "finer_nabirds_superordinate", "finer_nabirds_superordinate_closed",
    ]  # fmt: skip
