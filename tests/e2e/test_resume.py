"""`lmms-eval` killed in the middle and given again: the result of an unbroken run, and no request twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.runs.reading import read_run
from tests.e2e.commands import BIN, lmms_eval, two_processes

TASKS = "finer_mini_fine,finer_mini_fine_attrseek,finer_mini_fine_parent_predicted,finer_mini_coarse_closed"
LIMIT = 32
REPLIES = LIMIT * (1 + 2 + 3 + 1)


def command(journal: Path, output: Path) -> list[str]:
    model = ["--model", "finer_hf", "--model_args", f"pretrained=finer-mini,resume={journal}", "--batch_size", "8"]
    return [*model, "--tasks", TASKS, "--limit", str(LIMIT), "--log_samples", "--output_path", str(output)]


def kept(journal: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in journal.glob("*/replies-*.jsonl"))


def killed_in_the_middle(journal: Path, output: Path, data: Path) -> int:
    """Give the command, kill it by SIGKILL when a fifth of its replies is there, and say how many there are."""
    variables = os.environ | {"FINER_DATA_DIR": str(data), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [str(BIN / "lmms-eval"), *command(journal, output)], env=variables, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and kept(journal) < REPLIES // 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return kept(journal)


def samples(output: Path) -> dict[str, list[Any]]:
    """What lmms-eval logged by task, in the order of documents, which processes take in turns.

    Margins are without their last digits, which depend on how sums round.
    """

    def read(line: str) -> Any:
        sample = json.loads(line)
        for counts in filter(None, sample["token_counts"]):
            counts["least_margin"] = round(counts.get("least_margin", 0), 3)
        return sample

    found = output.rglob("*_samples_*.jsonl")
    every = {file.name.partition("_samples_")[2]: [*map(read, file.read_text().splitlines())] for file in found}
    return {name: sorted(rows, key=lambda row: int(row["doc_id"])) for name, rows in every.items()}


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal, output = tmp_path / "replies", tmp_path / "out"
    there = killed_in_the_middle(journal, output, mini_data)
    assert REPLIES // 5 <= there < REPLIES
    assert not samples(output)
    done = lmms_eval(*command(journal, output), data=mini_data)
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(output)
    assert run.replies == {"folder": str(journal), "reused": there, "generated": REPLIES - there}
    assert kept(journal) == REPLIES
    assert main(["results", str(output)]) == 0
    assert f"{there} of {REPLIES} replies were taken from an earlier run" in " ".join(capsys.readouterr().out.split())

    unbroken = lmms_eval(*command(tmp_path / "other", tmp_path / "unbroken"), data=mini_data)
    assert unbroken.returncode == 0, unbroken.stderr[-3000:]
    whole = read_run(tmp_path / "unbroken")
    assert samples(output) == samples(tmp_path / "unbroken")  # answers, token counts and scores
    assert json.loads(run.path.read_text())["results"] == json.loads(whole.path.read_text())["results"]
    assert run.model == whole.model == "finer_hf (pretrained=finer-mini)"

    shared = two_processes(*command(journal, tmp_path / "shared"), data=mini_data)
    assert shared.returncode == 0, shared.stderr[-3000:]
    assert "Running on rank 1" in shared.stdout
    assert read_run(tmp_path / "shared").replies == {"folder": str(journal), "reused": REPLIES, "generated": 0}
    assert samples(tmp_path / "shared") == samples(output)
