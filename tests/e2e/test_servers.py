"""OpenAI-compatible servers that fail, behind lmms-eval's own backends; tests of those that do not are in test_served.py."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.replies import no_answer
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.summary import rows
from tests.e2e.commands import lmms_eval
from tests.e2e.evaluating import evaluate
from tests.e2e.server import CUT, chat_server, say


@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize("backend", ["openai", "async_openai"])
def test_what_may_pass_is_asked_again(tmp_path: Path, backend: str) -> None:
    faults: list[int | None] = [429, CUT, 503]

    def busy(text: str) -> str | int | None:
        return faults.pop() if faults else say(text)

    with chat_server(busy) as server:
        run = evaluate(["finer_mini_fine"], tmp_path, backend, f"{server.model_args},retry_backoff_s=0", limit=2)
    (row,) = rows(run)
    assert (row.em, run.tasks[0].unanswered) == (1.0, {})
    assert len(server.seen) == 2 + 3


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
    assert not any("think" in text or "LMMS_EVAL" in text or "NO_CONTENT" in text for text in server.seen)
    results = json.loads(run.path.read_text())["results"][tasks[0]]
    assert (results["failed_requests,none"], results["unfinished_thoughts,none"]) == (4, 2)
    assert [row.em for row in rows(rescore(run))] == [row.em for row in rows(run)]
    assert main(["results", str(tmp_path)]) == 0
    assert f"{tasks[0]}: 4 of 10 failed requests, scored as wrong" in " ".join(capsys.readouterr().out.split())
