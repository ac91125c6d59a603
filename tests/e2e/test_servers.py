"""OpenAI-compatible servers whose answers are known, behind lmms-eval's own backends."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.replies import no_answer
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.summary import attribute_rows, rows, seek_rows
from tests.e2e.commands import lmms_eval
from tests.e2e.evaluating import ALL_VARIANTS, evaluate
from tests.e2e.server import chat_server, say, say_more


@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize("backend", ["openai", "async_openai"])
def test_an_openai_compatible_server(tmp_path: Path, backend: str) -> None:
    with chat_server(say) as server:
        tasks = ["finer_mini_fine", "finer_mini_fine_parent_predicted"]
        run = evaluate(tasks, tmp_path, backend, server.model_args, limit=12)
    made = {row.parent: row for row in rows(run)}
    assert made["gold"].em == pytest.approx(10 / 12)  # the first ten documents are Alder Finches
    assert made["predicted"].em == pytest.approx(10 / 12)
    predicted = next(task for task in run.tasks if task.identity["parent"] == "predicted")
    assert predicted.identity["rounds"] == "driver"
    assert len(server.seen) == 12 + 3 * 12
    assert all(size == (64, 64) for _, size in server.seen)
    assert any('"Finch"' in text for text, _ in server.seen)


def test_requests_that_fail_and_thoughts_that_do_not_end(
    mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = itertools.cycle([None, 400, "<think>Surely an Alder Finch, as", "<think>A Heron?</think>", ""])

    def unsteady(text: str) -> str | int | None:
        turn = next(turns)
        return turn + say(text) if isinstance(turn, str) else turn

    tasks = ("finer_mini_fine", "finer_mini_fine_attrseek", "finer_mini_fine_parent_predicted")
    with chat_server(unsteady) as server:
        model = ("--model", "openai", "--model_args", f"{server.model_args},max_retries=1,retry_backoff_s=0,num_concurrent=1")
        done = lmms_eval(
            *model, "--tasks", ",".join(tasks), "--limit", "10", "--log_samples", "--output_path", str(tmp_path), data=mini_data,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(tmp_path)
    direct = next(task for task in run.tasks if task.name == tasks[0])
    wrong = {"request_failed": 4, "unfinished_thought": 2}
    assert direct.unanswered == wrong
    assert {row.em for row in rows(run) if row.variant == "direct" and row.parent == "gold"} == {4 / 10}
    for task in run.tasks:
        for sample in task.samples:
            assert (sample.items["em"]["score"] == 1.0) is (sample.unanswered is None)
            told = no_answer(sample.outputs)
            assert sample.unanswered == told
    assert not any("think" in text or "LMMS_EVAL" in text or "NO_CONTENT" in text for text, _ in server.seen)
    results = json.loads(run.path.read_text())["results"][tasks[0]]
    assert (results["failed_requests,none"], results["unfinished_thoughts,none"]) == (4, 2)
    assert [row.em for row in rows(rescore(run))] == [row.em for row in rows(run)]
    assert main(["results", str(tmp_path)]) == 0
    assert f"{tasks[0]}: 4 of 10 failed requests, scored as wrong" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("mini_data")
def test_all_variants_on_an_openai_compatible_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server(say_more) as server:
        run = evaluate(ALL_VARIANTS, tmp_path, "openai", server.model_args, limit=10)
    by_variant = {row.variant: row for row in rows(run) if row.level == "fine"}
    assert {v for v, row in by_variant.items() if row.em == 1.0} >= {"attrseek", "attrseek1", "cot", "text", "both", "direct"}
    (seek, _) = sorted(seek_rows(run), key=lambda row: "fine" not in row.task)
    assert (seek.documents, seek.empty, seek.endless, seek.named, seek.rounds) == (10, 0, 0, 0, "driver")
    lists = {row.variant: row for row in attribute_rows(run)}
    assert lists["attributes"].scores["attr_recall_required"] == 1.0
    assert lists["attributes"].scores["attr_discriminability"] == 1.0
    assert lists["attributes_text"].scores["attr_precision"] == 1.0
    sizes = {("image" if size else "none") for text, size in server.seen if "has these attributes" in text}
    assert sizes == {"none", "image"} or sizes == {"none"}
    second = [text for text, _ in server.seen if "Given these attributes" in text]
    assert len(second) == 20
    assert all("- red body" in text for text in second)
    capsys.readouterr()
    assert main(["gap", str(tmp_path), "--plots", str(tmp_path / "plots")]) == 0
    assert "named from text, not from image" in capsys.readouterr().out
    assert (tmp_path / "plots" / "gap-mini-fine.png").exists()


@pytest.mark.usefixtures("mini_data")
def test_answers_are_cached_until_prompts_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, counts = tmp_path / "mine.yaml", []
    prompts.write_text('name: mine\ndirect: {superordinate: "a", coarse: "Which kind?", fine: "c"}\n')
    with chat_server(say) as server:
        for active in ("", "", str(prompts)):
            if active:
                monkeypatch.setenv("FINER_PROMPTS", active)
            cache = str(tmp_path / "cache")
            evaluate(["finer_mini_coarse"], tmp_path / "out", "openai", server.model_args, limit=4, use_cache=cache)
            counts.append(len(server.seen))
    assert counts == [4, 4, 8]
