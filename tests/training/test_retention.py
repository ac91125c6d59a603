"""`finer retention` over the checkpoints of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ModelError, ResultsError
from finer_tasks.retention.states import states_of_run
from finer_tasks.retention.texts import read_texts
from tests.retention.test_scores import own_tasks


def test_the_states_of_a_run_are_its_base_its_checkpoints_and_what_it_ended_with(unbroken: Path, tmp_path: Path) -> None:
    states = states_of_run(unbroken)
    assert [(state.name, state.step) for state in states] == [
        ("before", 0), ("checkpoint-2", 2), ("checkpoint-4", 4), ("after", 6),
    ]  # fmt: skip
    assert states[0].model_args == "pretrained=finer-mini"
    assert states[1].arguments == {"pretrained": "finer-mini", "peft": str(unbroken / "checkpoint-2")}
    assert len({state.weights for state in states}) == 4
    with pytest.raises(ModelError, match="is no run of `finer train`"):
        states_of_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ModelError, match=r"run.json cannot be read"):
        states_of_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"model": "finer-mini"}))
    with pytest.raises(ModelError, match="holds no adapter yet"):
        states_of_run(tmp_path)


def test_texts_alone_need_no_task_and_are_measured_once(unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("One text of mine.\n\nAnother,\non two lines.\n")
    command = ["retention", str(unbroken), "--texts", f"built-in,{tmp_path / 'mine.txt'}", "--output", str(tmp_path / "o")]
    assert main(command) == 0
    record = json.loads((tmp_path / "o/retention.json").read_text())
    assert [curve["measure"] for curve in record["curves"]] == ["texts: built-in", "texts: mine.txt"]
    assert [curve["documents"] for curve in record["curves"]] == [24, 2]
    assert [point["step"] for point in record["curves"][0]["points"]] == [0, 2, 4, 6]
    assert len({point["perplexity"] for point in record["curves"][0]["points"]}) == 4
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "o/texts").iterdir()}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (tmp_path / "o/retention.svg").stat().st_size > 1000
    (tmp_path / "o/texts" / next(iter(kept)).name).write_text("{")
    assert main(command) == 2


@pytest.mark.slow
def test_tasks_of_the_user_and_ours_are_followed_and_each_is_evaluated_once(
    unbroken: Path, mini_data: Path, tmp_path: Path
) -> None:
    own, output = own_tasks(tmp_path / "own"), tmp_path / "o"
    models = ["--before", "pretrained=finer-mini", "--after", f"pretrained=finer-mini,peft={unbroken}"]
    command = ["retention", *models, "--tasks", "colours", "--include-path", str(own), "--limit", "2", "--output", str(output)]
    assert main(command) == 0
    assert {path.parent.name for path in output.glob("evaluations/*/*")} == {"before", "after"}
    assert main([*command, "--gain", "finer_mini_fine"]) == 0
    assert sorted(path.name for path in output.glob("evaluations/*/*")) == ["1", "1", "2", "2"]
    record = json.loads((output / "retention.json").read_text())
    assert {(curve["measure"], curve["role"]) for curve in record["curves"]} == {
        ("colours", "retained"),
        ("finer_mini_fine", "gain"),
    }
    requests = [json.loads(path.read_text()) for path in output.glob("evaluations/before/*/request.json")]
    assert sorted(request["tasks"] for request in requests) == [["colours"], ["finer_mini_fine"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--texts", "built-in"], "give either RUN, the output of finer train, or both --before and --after"),
        (["--before", "pretrained=finer-mini", "--after", "pretrained=finer-mini"], "nothing to measure"),
        (["--before", "pretrained", "--after", "x", "--texts", "built-in"], "'pretrained' are no model arguments"),
        (["--before", "a=b", "--after", "a=b", "--tasks", "t", "--gain", "t"], "t is in --gain and in --tasks; give it once"),
        (["--before", "a=b", "--after", "a=b", "--metric", "em"], "--metric em: give TASK=METRIC"),
        (["--before", "a=b", "--after", "a=b", "--texts", "absent.txt"], "absent.txt cannot be read: No such file"),
        (["--before", "a=b", "--after", "a=b", "--texts", "built-in", "--model", "qwen_vl"], "through finer_hf, not qwen_vl"),
        (["--before", "peft=b", "--after", "a=b", "--texts", "built-in"], "needs the model argument pretrained="),
        (
            ["--before", "pretrained=b", "--after", "pretrained=b,petf=c", "--texts", "built-in"],
            "unknown model argument 'petf'",
        ),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    given: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retention", *given, "--output", str(tmp_path / "o")]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_others_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.md").write_text("mine")
    model = "pretrained=finer-mini"
    assert main(["retention", "--before", model, "--after", model, "--texts", "built-in", "--output", str(tmp_path)]) == 2
    assert "holds files that are not of finer retention" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["table.md"]


def test_broken_texts_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for line, message in (
        ('{"no": 1}', 't.jsonl:2: no JSON object with a "text"'),
        ('{"text": " "}', 't.jsonl:2: its "text" is empty'),
        ('{"text": "\\ud800"}', 't.jsonl:2: its "text" has half of a surrogate pair'),
    ):
        path.write_text(f'{{"text": "a"}}\n{line}\n')
        with pytest.raises(ResultsError, match=message):
            read_texts(str(path))
    path.write_text('{"text": "a"}', encoding="utf-8-sig")
    assert read_texts(str(path)).texts == ("a",)
    path.write_text("\n")
    with pytest.raises(ResultsError, match="holds no text"):
        read_texts(str(path))
    (tmp_path / "t.txt").write_bytes(b"a\n\xff")
    with pytest.raises(ResultsError, match=r"t.txt:2: not UTF-8 text"):
        read_texts(str(tmp_path / "t.txt"))
