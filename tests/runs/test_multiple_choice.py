"""Multiple-choice tasks of a run: figures, tables, rescoring, and what damaged or differing runs say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.options.choosing import Options
from finer_tasks.runs.multiple_choice import choice_rows
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from tests.choice_runs import write_choice_run, write_likelihood_run


def right(number: int, options: Options) -> str:
    return f"Answer: {options.letters[options.right]}"


def first(number: int, options: Options) -> str:
    return "A" if number % 2 else options.letters[options.right]


def test_figures_of_answers_by_hand(mini_data: Path, tmp_path: Path) -> None:
    folder = write_choice_run(tmp_path / "run", {"coarse": right, "fine": first})
    coarse, fine = choice_rows(read_run(folder))
    assert (coarse.level, coarse.accuracy, coarse.corrected, coarse.chose, coarse.options) == ("coarse", 1, 1, 1, 4)
    assert (coarse.chance, coarse.choices) == (0.25, "siblings")
    assert coarse.rules == {"mc_foci_rule": 1, "mc_tara_rule": 1}
    assert fine.documents == 64
    assert fine.corrected == pytest.approx((fine.accuracy - 0.25) / 0.75)
    assert fine.bias.positions[0].accuracy == 1
    assert fine.bias.positions[0].chosen > 0.5
    assert fine.bias.chosen_p < 0.001
    assert fine.both_levels == fine.accuracy == coarse.both_levels
    assert fine.told_by == {"letter": 64}


def test_tables_and_json(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_choice_run(tmp_path / "run", {"fine": first})
    assert main(["results", str(folder), "--reasons"]) == 0
    told = capsys.readouterr().out
    assert "multiple choice" in told
    assert "position bias" in told
    assert re.search(r"finer_mini_fine_mc: right \d+, wrong_option \d+; options told by letter 64", told)
    assert main(["results", str(folder), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["choice_rows"][0]
    assert row["bias"]["positions"][0]["accuracy"] == 1
    assert row["score"] == "mc"


def test_the_report_shows_them(mini_data: Path, tmp_path: Path) -> None:
    folder = write_choice_run(tmp_path / "run", {"fine": first})
    assert main(["report", str(folder), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Multiple choice" in page
    assert re.search(r"<td>finer_mini_fine_mc<td>4 siblings<td>mc<td class=\"number\">64", page)


def test_figures_of_likelihoods(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_likelihood_run(tmp_path / "run", lambda number, options: options.right if number % 4 else 0)
    rows = choice_rows(read_run(folder))
    assert [row.score for row in rows] == ["mc_letter", "mc_name_sum", "mc_name_norm"]
    assert len({row.accuracy for row in rows}) == 1
    assert 0.75 <= rows[0].accuracy < 1
    assert main(["results", str(folder), "--rescore"]) == 0
    assert "mc_name_norm" in capsys.readouterr().out


def test_answers_are_scored_again_with_the_options_that_the_log_tells(mini_data: Path, tmp_path: Path) -> None:
    run = read_run(write_choice_run(tmp_path / "run", {"fine": first}))
    again = rescore(run)
    assert [sample.items["mc"] for sample in again.tasks[0].samples] == [sample.items["mc"] for sample in run.tasks[0].samples]


def test_answers_without_scores_get_their_options_from_the_setting(
    mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = write_choice_run(tmp_path / "run", {"fine": first})
    whole = choice_rows(read_run(scored))[0]
    file = scored / "r_samples_finer_mini_fine_mc.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    kept = ("doc_id", "filtered_resps", "input")
    file.write_text("".join(json.dumps({key: line[key] for key in kept} | {"bypass": 999}) + "\n" for line in lines))
    results = json.loads((scored / "r_results.json").read_text())
    from finer_tasks.datasets.prepared import load_prepared

    finer = results["configs"]["finer_mini_fine_mc"]["metadata"]["finer"]
    finer["data_fingerprint"] = load_prepared("mini").manifest.contents["test"]
    (scored / "r_results.json").write_text(json.dumps(results))
    row = choice_rows(rescore(read_run(scored, unscored=True)))[0]
    assert (row.accuracy, row.bias) == (whole.accuracy, whole.bias)
    monkeypatch.setenv("FINER_CHOICES", "random")
    with pytest.raises(ResultsError, match="set it as in the run"):
        rescore(read_run(scored, unscored=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"chosen": 9}, "no position of an option"),
        ({"right": None}, "no position of an option"),
        ({"options": ["a"]}, "no list of names"),
        ({"keys": None}, "no list of names"),
        ({"score": 2}, "the score mc is 2"),
    ],
)
def test_a_damaged_line_is_told_with_its_number(mini_data: Path, tmp_path: Path, change: dict[str, object], told: str) -> None:
    folder = write_choice_run(tmp_path / "run", {"fine": right}, documents=4)
    file = folder / "r_samples_finer_mini_fine_mc.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["mc"] |= change
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ResultsError, match=rf"jsonl:2: .*{told}"):
        read_run(folder)


def test_a_gate_compares_the_answers_and_refuses_other_options(
    mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_choice_run(tmp_path / "base", {"fine": right})
    worse = write_choice_run(tmp_path / "worse", {"fine": lambda number, options: "A"})
    other = write_choice_run(
        tmp_path / "other", {"fine": right}, choices={"name": "random", "options": 4, "seed": 0, "version": 1}
    )
    assert main(["regress", "--baseline", str(base), "--candidate", str(worse)]) == 1
    assert "finer_mini_fine_mc" in capsys.readouterr().out
    assert main(["regress", "--baseline", str(base), "--candidate", str(other)]) == 2
    assert "choices differs" in capsys.readouterr().err


def test_submissions_leave_multiple_choice_out(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from finer_tasks.submission.archive import SubmissionError
    from finer_tasks.submission.scoring import official_task

    for name in ("finer_cub_fine_mc", "finer_cub_fine_mc_likelihood"):
        with pytest.raises(SubmissionError, match="leave it out"):
            official_task(name)
