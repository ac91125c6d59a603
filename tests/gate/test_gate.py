"""The gate's verdicts on runs in lmms-eval's format, its refusals and its exit codes, through the command."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from finer_tasks.cli.main import main
from finer_tasks.console import PlainConsole
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.errors import ResultsError
from finer_tasks.gate.baseline import read_baseline, write_baseline
from finer_tasks.gate.display import print_gate
from finer_tasks.gate.gate import run_gate
from finer_tasks.gate.measured import Document, Measured, MeasuredTask
from finer_tasks.gate.policy import Policy, Rule
from finer_tasks.gate.reading import read_measured
from tests import official
from tests.simulated import IDENTITY, scores, sizes_of, write_run

RUNS = 25
NAMES = [str(number // 20) for number in range(2000)]


def regress(baseline: Path, candidate: Path, *more: str) -> int:
    return main(["regress", "--baseline", str(baseline), "--candidate", str(candidate), *more])


def in_memory(values: np.ndarray, names: list[str]) -> Measured:
    documents = {
        str(number): Document("h", name, "c", "f", "a", {"em": float(value)})
        for number, (value, name) in enumerate(zip(values, names, strict=True))
    }
    return Measured("s", "m", {}, {"t": MeasuredTask("t", {}, {}, documents)})


@pytest.mark.slow
def test_a_planted_drop_of_three_points_on_2000_documents_is_caught_with_the_stated_power() -> None:
    rng, policy = np.random.default_rng(5), Policy(rules=(Rule(test="significance", max_drop=0.0),))
    sizes = sizes_of("equal", 100, 2000)
    planted, equal, stated = Counter[str](), Counter[str](), []
    for _ in range(RUNS):
        before, after, names = scores(rng, sizes, 0.03, spread=0.05)
        verdict = run_gate(in_memory(before, names), in_memory(after, names), policy).verdicts[0]
        planted[verdict.outcome] += 1
        stated.append(verdict.comparison.detectable)
        before, after, names = scores(rng, sizes, 0.0, spread=0.05)
        equal[run_gate(in_memory(before, names), in_memory(after, names), policy).outcome] += 1
    assert np.mean(stated) < 0.03  # so it is to be found with a power above 0.8
    assert planted["regressed"] / RUNS >= 0.8 - 2 * (0.8 * 0.2 / RUNS) ** 0.5
    assert equal["regressed"] / RUNS <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5
    assert equal["passed"] / RUNS >= 0.8


def test_equal_runs_pass_and_a_broken_one_fails_with_all_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = np.tile([1.0, 1.0, 0.0], 667)[:2000]
    before = write_run(tmp_path / "a", right, NAMES)
    assert regress(before, before, "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "passed"
    broken = right.copy()
    broken[::10] = 0
    after = write_run(tmp_path / "b", broken, NAMES, model="<b>broken|</b>")
    files = {name: tmp_path / f"out.{name}" for name in ("json", "junit", "markdown", "html")}
    assert regress(before, after, *(f"--{name}={path}" for name, path in files.items()), "--annotations") == 1
    printed = capsys.readouterr().out
    assert "::error title=finer regress finer_cub_fine::regressed" in printed
    record = json.loads(files["json"].read_text())
    assert record["outcome"] == "regressed"
    assert record["tasks"][0]["worse"] == int((right != broken).sum())
    assert record["tasks"][0]["better"] == 0
    case = ElementTree.parse(files["junit"]).getroot()
    assert (case.get("failures"), case[0].get("name")) == ("1", "finer_cub_fine")
    assert case[0].find("failure") is not None
    assert "❌ finer regress: regressed" in files["markdown"].read_text()
    page = files["html"].read_text()
    assert "&lt;b&gt;broken|&lt;/b&gt;" in page
    assert "<b>broken" not in page
    assert page.count("cub/test/") == int((right != broken).sum())


@pytest.mark.parametrize("width", [80, 130])
def test_no_figure_and_no_outcome_is_cut_short(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    task = "finer_inat_superordinate_attrseek_named_otherwise"
    runs = []
    for first in (1.0, 0.0):
        (measured,) = in_memory(np.array([first, *[1.0] * 29]), NAMES[::20][:30]).tasks.values()
        runs.append(Measured("s", "m" * 200, {}, {task: measured}))
    gate = run_gate(*runs, Policy(rules=(Rule(max_drop=0.02),)))
    print_gate(gate, PlainConsole(width=width))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if task in line and "0.967" in line]
    assert "-0.0333" in row
    assert row.rstrip(" │").endswith(gate.verdicts[0].outcome)


def test_a_page_with_photographs_says_whose_terms_they_stay_under(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    right = np.ones(len(NAMES))
    before, page = write_run(tmp_path / "a", right, NAMES), tmp_path / "out.html"
    for changed, shown in ((4, 1), (5, 0)):  # the small copy has the photograph of document 4 and none of 5
        after = right.copy()
        after[changed] = 0
        regress(before, write_run(tmp_path / f"b{changed}", after, NAMES), f"--html={page}")
        assert page.read_text().count("data:image/jpeg") == shown
        assert page.read_text().count("stay under its terms (photographs belong to") == shown


def test_too_few_documents_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", np.ones(30), NAMES[::60][:30])
    assert regress(run, run) == 3
    policy = tmp_path / "policy.yaml"
    policy.write_text("inconclusive: pass\n")
    assert regress(run, run, "--policy", str(policy)) == 0
    policy.write_text("rules: [{tasks: 'finer_*', max_drop: 0.3}]\n")
    assert regress(run, run, "--policy", str(policy)) == 0


def test_a_metric_where_lower_is_better_is_turned() -> None:
    rule = Rule(direction="lower", max_drop=0.05)
    grown = run_gate(in_memory(np.zeros(400), NAMES[:400]), in_memory(np.ones(400), NAMES[:400]), Policy(rules=(rule,)))
    assert grown.outcome == "regressed"
    assert (grown.verdicts[0].comparison.baseline, grown.verdicts[0].comparison.candidate) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "allow"),
    [
        ("prompt_hash", "bb", "prompts"),
        ("data_fingerprint", "ee", "data"),
        ("data_official", False, "official_split"),
        ("scoring", "0", "scoring"),
        ("taxonomy", "dd", "taxonomy"),
        ("parent", "none", "parent"),
    ],
)
def test_runs_made_otherwise_are_refused_unless_that_is_allowed(
    key: str, value: object, allow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = np.ones(2000)
    before = write_run(tmp_path / "a", right, NAMES)
    after = write_run(tmp_path / "b", right, NAMES, identity={**IDENTITY, key: value})
    assert regress(before, after) == 2
    assert f"{allow} differs" in (said := capsys.readouterr().err)
    assert repr(value) in said
    assert regress(before, after, "--allow", allow) == 0
    assert f"compared although {allow} differ" in capsys.readouterr().out


def test_scores_between_0_and_1_are_tested_by_sign_flips_alone() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0.3, 0.9, 2000)
    after = before - np.repeat(rng.uniform(0.02, 0.08, 100), 20)
    verdict = run_gate(in_memory(before, NAMES), in_memory(after, NAMES), Policy()).verdicts[0]
    assert verdict.comparison.p_mcnemar is None
    assert verdict.outcome == "regressed"


@pytest.mark.parametrize(("where", "outcome"), [("everywhere", "regressed"), ("in one concept", "inconclusive")])
def test_graded_scores_on_concepts_of_unequal_sizes(where: str, outcome: str) -> None:
    """A drop in half of all documents says little of the model where they are all of one concept."""
    names = np.repeat([str(number) for number in range(60)], sizes_of("one big", 60, 2000))
    before = np.random.default_rng(0).uniform(0.4, 0.9, len(names))
    after = before - (0.1 if where == "everywhere" else np.where(names == "0", 0.2, 0.0))
    verdict = run_gate(in_memory(before, list(names)), in_memory(after, list(names)), Policy()).verdicts[0]
    assert verdict.comparison.difference == pytest.approx(-0.1, abs=0.002)
    assert verdict.comparison.worse == (after < before).sum()
    assert verdict.outcome == outcome


def test_other_documents_are_refused_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = np.ones(2000)
    before, after = write_run(tmp_path / "a", right, NAMES), write_run(tmp_path / "b", right[:1990], NAMES[:1990])
    assert regress(before, after) == 2
    assert "10 of the baseline are missing" in capsys.readouterr().err
    assert regress(before, after, "--allow", "documents") == 0
    assert "1990 documents matched; 10 missing" in capsys.readouterr().out
    relabelled = write_run(tmp_path / "c", right, ["changed", *NAMES[1:]])
    assert regress(before, relabelled) == 2
    assert "1 have other labels or another question, for example cub/test/0" in capsys.readouterr().err


def test_a_baseline_of_the_size_of_cub_is_below_a_megabyte_and_holds_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{n // 29:03d}.Some_Species_Name" for n in range(5794)]
    run = write_run(tmp_path / "a", rng.integers(0, 2, 5794), names, answer="Answer: Black-footed Albatross, I believe")
    found, path = read_measured(run), tmp_path / "b.json.gz"
    write_baseline(found, path)
    assert path.stat().st_size < 1_000_000 / 3  # three levels make one baseline
    assert read_measured(path).tasks == found.tasks
    first = path.read_bytes()
    write_baseline(found, path)
    assert path.read_bytes() == first


def test_a_baseline_of_the_older_schema_is_read_and_a_newer_one_is_not(tmp_path: Path) -> None:
    run, path = write_run(tmp_path / "a", [1.0, 0.0], ["x", "y"]), tmp_path / "b.json.gz"
    write_baseline(read_measured(run), path)
    raw: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    old = {
        **raw,
        "schema": 1,
        "tasks": {n: {k: v for k, v in t.items() if k != "failed"} for n, t in raw["tasks"].items()},
    }
    path.write_bytes(gzip.compress(json.dumps(old).encode()))
    assert read_baseline(path).tasks == read_measured(run).tasks
    path.write_bytes(gzip.compress(json.dumps({**raw, "schema": 99}).encode()))
    with pytest.raises(ResultsError, match="Update finer-tasks"):
        read_baseline(path)
    path.write_bytes(gzip.compress(json.dumps(raw).encode())[:-20])
    with pytest.raises(ResultsError, match="is damaged"):
        read_baseline(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw, task: task["scores"]["em"].__setitem__(0, float("nan")),
        lambda raw, task: task["scores"]["em"].__setitem__(0, 2),
        lambda raw, task: task["ids"].__setitem__(0, task["ids"][1]),
        lambda raw, task: task["ids"].clear(),
        lambda raw, task: task.update(identity=None),
        lambda raw, task: raw.update(settings=None),
    ],
)
def test_a_damaged_baseline_is_refused(change: Any, tmp_path: Path) -> None:
    run, path = write_run(tmp_path / "a", [1.0, 0.0], ["x", "y"]), tmp_path / "b.json.gz"
    write_baseline(read_measured(run), path)
    raw = json.loads(gzip.decompress(path.read_bytes()))
    change(raw, next(iter(raw["tasks"].values())))
    path.write_bytes(gzip.compress(json.dumps(raw).encode()))
    with pytest.raises(ResultsError, match="is damaged"):
        read_baseline(path)


def test_a_policy_with_a_mistake_names_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, policy = write_run(tmp_path / "a", [1.0], ["x"]), tmp_path / "p.yaml"
    policy.write_text("rules: [{max_drp: 0.1}]\n")
    assert regress(run, run, "--policy", str(policy)) == 2
    assert "rules.0.max_drp" in capsys.readouterr().err
    policy.write_text("rules: [{metric: bleu}]\n")
    assert regress(run, run, "--policy", str(policy)) == 2
    assert "has no metric 'bleu'" in capsys.readouterr().err
    assert main(["baseline", "make", str(run), "--output", str(tmp_path / "b"), "--allow", "weather"]) == 2
    assert "--allow weather: unknown" in capsys.readouterr().err
    assert regress(run, run, "--allow", "weather") == 2
    assert "--allow weather: unknown" in capsys.readouterr().err


def test_max_drop_is_in_units_of_the_metric_and_finite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = np.tile([1.0, 1.0, 0.0], 667)[:2000]
    before, after = write_run(tmp_path / "a", right, NAMES), write_run(tmp_path / "b", np.zeros(2000), NAMES)
    policy = tmp_path / "p.yaml"
    for rule, said in (
        ("{max_drop: 2}", "max_drop 2 for finer_cub_fine is no drop that em can have"),
        ("{max_drop: .inf}", "rules.0.max_drop"),
        ("{test: significance, max_drop: 0, detectable: 3}", "detectable 3 for finer_cub_fine"),
    ):
        policy.write_text(f"rules: [{rule}]\n")
        assert regress(before, after, "--policy", str(policy)) == 2
        assert said in capsys.readouterr().err


def test_a_rule_that_decides_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, policy = write_run(tmp_path / "a", np.ones(2000), NAMES), tmp_path / "p.yaml"
    policy.write_text("rules: [{tasks: finer_cubs_fine, max_drop: 0.01}, {tasks: '*'}]\n")
    assert regress(run, run, "--policy", str(policy)) == 2
    assert "rules.0 (tasks: 'finer_cubs_fine') does nothing: it fits no task of these runs; did you mean 'finer_cub_fine'" in (
        capsys.readouterr().err
    )
    policy.write_text("rules: [{tasks: '*'}, {tasks: finer_cub_fine, max_drop: 0.01}]\n")
    assert regress(run, run, "--policy", str(policy)) == 2
    assert (
        "rules.1 (tasks: 'finer_cub_fine') does nothing: rules.0 (tasks: '*') decides all that it fits"
        in capsys.readouterr().err
    )
    policy.write_text("rules: [{tasks: finer_cub_fine}, {tasks: 'finer_*', max_drop: 0.1}]\n")
    assert regress(run, run, "--policy", str(policy)) == 0


def test_a_policy_that_is_no_text_or_too_deep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, policy = write_run(tmp_path / "a", [1.0], ["x"]), tmp_path / "p.yaml"
    for content in (b"alpha: 0.05 # \xff\xfe", b"rules: " + b"[" * 5000, b"seed: -1\n"):
        policy.write_bytes(content)
        assert regress(run, run, "--policy", str(policy)) == 2
        assert str(policy) in capsys.readouterr().err


def test_a_run_is_equal_to_its_own_baseline_to_the_last_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Token F1 has digits without end, which a file does not keep."""
    values = np.tile([2 / 3, 1 / 7, 0.1234567891234], 667)[:2000]
    run, baseline, policy = write_run(tmp_path / "a", values, NAMES), tmp_path / "b.json.gz", tmp_path / "p.yaml"
    policy.write_text("rules: [{metric: f1, test: significance, max_drop: 0, detectable: 0.3}]\n")
    assert main(["baseline", "make", str(run), "--output", str(baseline)]) == 0
    capsys.readouterr()
    assert regress(baseline, run, "--policy", str(policy)) == 0
    assert "0 got worse, 0 better" in capsys.readouterr().out


def test_one_concept_alone_shows_nothing() -> None:
    verdict = run_gate(in_memory(np.ones(500), ["one"] * 500), in_memory(np.zeros(500), ["one"] * 500), Policy()).verdicts[0]
    assert (verdict.comparison.low, verdict.comparison.high) == (-1.0, 1.0)
    assert verdict.outcome == "inconclusive"
    assert "500 documents of 1 concepts show no drop at all" in verdict.reason


def test_requests_that_were_not_answered_are_no_evidence_on_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = np.ones(2000)
    good = write_run(tmp_path / "a", right, NAMES)
    failed = write_run(tmp_path / "b", right * 0, NAMES, answer="[LMMS_EVAL_REQUEST_FAILED after 3 retries] 429")
    baseline = tmp_path / "b.json.gz"
    assert main(["baseline", "make", str(failed), "--output", str(baseline)]) == 2
    assert "finer_cub_fine: 2000 x request_failed" in capsys.readouterr().err
    assert not baseline.exists()
    assert main(["baseline", "make", str(failed), "--output", str(baseline), "--allow", "request_failed"]) == 0
    for one, other in ((good, failed), (failed, good), (baseline, good)):
        assert regress(one, other) == 2
        assert "--allow request_failed" in capsys.readouterr().err
    assert regress(good, failed, "--allow", "request_failed") == 1


def test_failed_requests_of_an_older_baseline_are_found(tmp_path: Path) -> None:
    run, path = write_run(tmp_path / "a", [1.0, 0.0], ["x", "y"]), tmp_path / "b.json.gz"
    write_baseline(read_measured(run), path)
    raw: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    columns = raw["tasks"]["finer_cub_fine"]
    del columns["failed"]
    columns["answer"][1] = "[LMMS_EVAL_REQUEST_FAILED after 3 retries] 429"
    path.write_bytes(gzip.compress(json.dumps(raw | {"schema": 2}).encode()))
    assert read_baseline(path).tasks["finer_cub_fine"].failed == 1
