"""The main job, once, and everything that reads what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.runs.reading import Run, read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.summary import consistencies, disagreements, rows
from tests.e2e.commands import finer, lmms_eval, two_processes

MAIN_JOB = ("--model", "finer_hf", "--model_args", "pretrained=finer-mini", "--tasks", "finer_mini", "--batch_size", "32")


@pytest.fixture(scope="module")
def output(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job")
    done = lmms_eval(*MAIN_JOB, "--log_samples", "--output_path", str(folder), data=shared_data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "finer_mini_fine" in done.stdout
    return folder


@pytest.fixture
def run(output: Path, mini_data: Path) -> Run:
    return read_run(output)


def test_the_tiny_model_knows_the_upper_levels_and_guesses_far_better_than_chance(run: Run) -> None:
    by_level = {row.level: row for row in rows(run)}
    assert by_level["superordinate"].em >= 0.9
    assert by_level["coarse"].em >= 0.9
    assert by_level["fine"].em >= 0.5  # chance among the four siblings is 0.25
    assert by_level["fine"].documents == 640
    assert by_level["superordinate"].em >= by_level["coarse"].em >= by_level["fine"].em


def test_our_errors_agree_with_those_lmms_eval_printed(run: Run) -> None:
    printed = json.loads(run.path.read_text())["results"]["finer_mini_fine"]
    (row,) = [row for row in rows(run) if row.level == "fine"]
    assert printed["em,none"] == pytest.approx(row.em)
    assert printed["em_macro,none"] == pytest.approx(row.em_macro)
    assert printed["em_stderr_clustered,none"] == pytest.approx(row.em_error, rel=0.01)
    assert printed["em_macro_stderr_clustered,none"] == "N/A"


def test_samples_can_be_scored_again_without_images(run: Run) -> None:
    sample = run.tasks[0].samples[0]
    assert set(sample.record) >= {"id", "superordinate", "coarse", "fine", "concept_id"}
    assert rows(rescore(run)) == rows(run)


def test_results_carry_what_made_them(run: Run) -> None:
    for task in run.tasks:
        assert task.identity["prompt_set"] == "finer-1"
        assert task.identity["versions"]["lmms_eval"]
        assert task.identity["data_fingerprint"]
        assert task.generation["do_sample"] is False


def test_consistency_across_levels(run: Run) -> None:
    (item,) = consistencies(run)
    assert item.documents == 640
    assert 0.9 <= item.em <= 1.0
    assert item.fine_right == sum(
        s.items["em"]["score"] == 1.0 for t in run.tasks if t.identity["level"] == "fine" for s in t.samples
    )


def test_disagreements_are_those_documents_on_which_the_scores_differ(run: Run) -> None:
    for task in run.tasks:
        differing = {sample.record["id"] for sample in disagreements(task)}
        assert differing == {s.record["id"] for s in task.samples if s.items["em"]["score"] != s.items["em_strict"]["score"]}


def test_the_results_command(output: Path, mini_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = finer("results", str(output), "--reasons", "--disagreements", data=mini_data)
    assert shown.returncode == 0, shown.stderr
    assert "superordinate" in shown.stdout
    assert "consistency, mini direct parent=gold" in shown.stdout
    assert main(["results", str(output), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["rows"]) == 3
    assert document["tasks"]["finer_mini_fine"]["generation"]["max_new_tokens"] == 64


def test_a_run_without_samples_is_explained(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = next(output.rglob("*_results.json"))
    (tmp_path / results.name).write_bytes(results.read_bytes())
    assert main(["results", str(tmp_path)]) == 2
    assert "--log_samples" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(output: Path, shared_data: Path, tmp_path: Path) -> None:
    arguments = [*MAIN_JOB[:-3], "finer_mini_fine", "--batch_size", "32", "--log_samples", "--output_path", str(tmp_path)]
    done = two_processes(*arguments, data=shared_data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Running on rank 1" in done.stdout
    (row,) = rows(read_run(tmp_path))
    (alone,) = [row for row in rows(read_run(output)) if row.level == "fine"]
    assert row == alone
