"""Every command that writes: a full disk, a file in the way and an output that is an input end with a message and lose nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from tests.faults import full_disk
from tests.submission.made import write_card, write_submission, write_whole_run

REGRESS = ["regress", "--baseline", "{run}", "--candidate", "{run}", "--policy", "{policy}"]
COMMANDS = {
    "pack": ["submit", "pack", "{run}", "--card", "{card}", "--output", "{output}"],
    "report": ["report", "{run}", "--output", "{output}"],
    "baseline": ["baseline", "make", "{run}", "--output", "{output}"],
    "export": ["export", "{run}", "--form", "every-eval-ever", "--card", "{card}", "--output", "{output}"],
    "leaderboard": ["leaderboard", "build", "{archives}", "--output", "{output}"],
    "plots": ["gap", "{run}", "--plots", "{output}"],
    **{form: [*REGRESS, f"--{form}", "{output}"] for form in ("json", "junit", "html")},
}
APPENDING = {"markdown": [*REGRESS, "--markdown", "{output}"]}


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


@pytest.fixture(scope="module")
def inputs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        write_submission(folder, "Model", 0.5)
        run = write_whole_run(folder / "run", 0.5, tasks=("finer_mini_fine",))
    (folder / "policy.yaml").write_text("rules: [{max_drop: 0.1}]")
    card, policy = write_card(folder / "card.yaml"), folder / "policy.yaml"
    return {"run": run, "card": card, "policy": policy, "archives": folder / "archives"}


def run(command: str, inputs: dict[str, Path], output: Path) -> int:
    return main([word.format(output=output, **inputs) for word in (COMMANDS | APPENDING)[command]])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_and_a_file_in_the_way_lose_nothing(
    command: str, inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output"
    assert run(command, inputs, output) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with full_disk(100):
        assert run(command, inputs, output) == 2
    assert "cannot be written: File too large" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert run(command, inputs, tmp_path / "file" / "output") == 2
    assert "a file stands where a folder should be" in capsys.readouterr().err
    (tmp_path / "file").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["pack", "report", "baseline", "json", "junit", "html", "markdown"])
def test_an_output_that_is_an_input_is_refused(
    command: str, inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"pack": [inputs["card"]], "report": [], "baseline": []}.get(command, [inputs["policy"]])
    for path in (*others, *inputs["run"].iterdir()):
        before = path.read_bytes()
        assert run(command, inputs, path) == 2
        assert "would be lost" in capsys.readouterr().err
        assert path.read_bytes() == before
