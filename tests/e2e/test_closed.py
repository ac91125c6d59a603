"""Closed sets by the installed commands."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.commands import finer, lmms_eval


def test_closed_sets_from_the_command_to_the_table(shared_data: Path, tmp_path: Path) -> None:
    levels = ",".join(f"finer_mini_{level}_closed" for level in ("superordinate", "coarse", "fine"))
    job = f"--model finer_hf --model_args pretrained=finer-mini --tasks {levels} --limit 2 --batch_size 8 --log_samples".split()
    done = lmms_eval(*job, "--output_path", str(tmp_path / "out"), data=shared_data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "closed_top1_pmi" in done.stdout
    shown = finer("results", str(tmp_path / "out"), "--plots", str(tmp_path / "plots"), data=shared_data)
    assert shown.returncode == 0, shown.stderr[-3000:]
    for told in ("closed sets", "answering only where sure", "back-off", "choice of a document in closed sets"):
        assert told in shown.stdout
    assert (tmp_path / "plots/risk-coverage-mini-sum.png").exists()
