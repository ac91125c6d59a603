"""Curves of made-up runs whose figures are known, and the evaluations behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finer_tasks.cli.main import main
from finer_tasks.console import PlainConsole
from finer_tasks.datasets.perturb import PerturbationError
from finer_tasks.errors import ResultsError
from finer_tasks.robust.curves import Contrast, Robustness, robustness
from finer_tasks.robust.display import print_robustness
from finer_tasks.robust.evaluate import Request, evaluate_severities, perturbations_of
from finer_tasks.robust.plots import plot_robustness
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.runs.samples import Sample
from tests.e2e.evaluating import evaluate
from tests.training.tiny_models import save

IDENTITY = {
    "dataset": "mini",
    "level": "fine",
    "parent": "gold",
    "prompt_set": "p",
    "prompt_hash": "h",
    "data_source": "s",
    "scoring": "2",
}
DOCUMENTS = 40
TOLD = {"name": "occlusion", "seed": 0, "version": 1, "of": "f", "boxes": "b", "images_without_a_box": 0}


def run(way: str, severity: int, right: Sequence[float] | int, **changes: Any) -> Run:
    """Documents of ten concepts, four of each; a number for `right` is how many of the first are."""
    scores = [float(number < right) for number in range(DOCUMENTS)] if isinstance(right, int) else right
    samples = []
    for number, score in enumerate(scores):
        concept = f"c{number % 10}"
        record = {"id": f"mini/test/{number}", "coarse": ["A"], "concept_id": concept}
        items = {name: {"score": score, "concept_id": concept} for name in ("em", "em_strict", "f1")}
        samples.append(Sample(record, "", items))
    identity = IDENTITY | {"variant": way, "data_fingerprint": f"f+occlusion:{severity}" if severity else "f"}
    if severity:
        identity["perturbation"] = TOLD | {"severity": severity, "what": f"{severity} of 5"}
    task = TaskRun(f"finer_mini_fine_{way}", identity | changes, {}, tuple(samples), DOCUMENTS)
    return Run(Path("x"), "m", (task,))


DIRECT = [run("direct", 0, 32), run("direct", 2, 24), run("direct", 4, 8)]
SEEK = [run("attrseek", 0, 32), run("attrseek", 2, 32), run("attrseek", 4, 24)]


def contrast(found: Sequence[Robustness], metric: str = "em") -> Contrast:
    (one,) = [each for each in found[0].contrasts if each.metric == metric]
    return one


def test_figures_worked_by_hand() -> None:
    (found,) = robustness([*SEEK, *DIRECT])
    direct, seek = (curve for curve in found.curves if curve.metric == "em")
    assert (direct.way, seek.way) == ("direct", "attrseek")
    assert [point.severity for point in direct.points] == [0, 2, 4]
    assert [point.score.value for point in direct.points] == pytest.approx([0.8, 0.6, 0.2])
    assert [point.lost.value for point in direct.points] == pytest.approx([0, 0.2, 0.6])
    assert [point.kept.value for point in direct.points if point.kept] == pytest.approx([1, 0.75, 0.25])
    assert direct.slope.value == pytest.approx(np.polyfit([0, 2, 4], [0.8, 0.6, 0.2], 1)[0]) == -0.15
    assert seek.slope.value == pytest.approx(-0.05)
    against = contrast([found])
    assert {severity: each.value for severity, each in against.more_kept.items()} == pytest.approx({2: 0.2, 4: 0.4})
    assert against.slope.value == pytest.approx(0.1)
    assert against.share_kept
    assert against.share_kept.value == pytest.approx((0.8 + 0.6) / 2 / 0.8 - (0.6 + 0.2) / 2 / 0.8)
    assert (found.documents, found.concepts, found.notes) == (40, 10, ())
    assert found.amounts == {2: "2 of 5", 4: "4 of 5"}


def test_the_verdict_follows_the_interval() -> None:
    assert contrast(robustness([*DIRECT, *SEEK])).verdict == "more slowly"
    faster = [run("attrseek", 0, 40), run("attrseek", 2, 24), run("attrseek", 4, 0)]
    assert contrast(robustness([*DIRECT, *faster])).verdict == "faster"
    rng = np.random.default_rng(0)
    noise = [run("attrseek", s, [float(value) for value in rng.random(DOCUMENTS) < share])
             for s, share in ((0, 0.8), (2, 0.55), (4, 0.25))]  # fmt: skip
    assert contrast(robustness([*DIRECT, *noise])).verdict == "cannot tell"


def test_few_concepts_tell_no_way_of_asking_from_another() -> None:
    few = [
        replace(
            one,
            tasks=(
                replace(
                    one.tasks[0],
                    samples=tuple(
                        replace(
                            sample,
                            items={name: item | {"concept_id": "c"} for name, item in sample.items.items()},
                            record=sample.record | {"concept_id": "c"},
                        )
                        for sample in one.tasks[0].samples
                    ),
                ),
            ),
        )
        for one in (*DIRECT, *SEEK)
    ]
    (found,) = robustness(few)
    assert (found.concepts, contrast([found]).verdict) == (1, "cannot tell")
    assert "fewer than 6 concepts" in found.notes[0]


def test_no_share_is_kept_of_nothing() -> None:
    (found,) = robustness([run("direct", 0, 0), run("direct", 1, 0), run("attrseek", 0, 8), run("attrseek", 1, 8)])
    assert found.curves[0].points[1].kept is None
    assert contrast([found]).share_kept is None


def test_runs_that_are_not_comparable_are_refused() -> None:
    with pytest.raises(ResultsError, match="no run on perturbed images"):
        robustness(DIRECT[:1])
    with pytest.raises(ResultsError, match="on perturbed images only; give a run on the images as published"):
        robustness(DIRECT[1:])
    with pytest.raises(ResultsError, match="more than one of the results at one severity"):
        robustness([*DIRECT, DIRECT[1]])
    with pytest.raises(ResultsError, match="model differs"):
        robustness([*DIRECT[:2], replace(DIRECT[2], model="other")])
    for key, condition in (("prompt_hash", "prompts"), ("scoring", "scoring"), ("rounds", "rounds")):
        changed = run("direct", 4, 8, **{key: "other"})
        with pytest.raises(ResultsError, match=f"{condition} differs.*--allow {condition}"):
            robustness([*DIRECT[:2], changed])
        assert f"although {condition} differ" in robustness([*DIRECT[:2], changed], [condition])[0].notes[0]
    moved = run("direct", 4, 8, perturbation=TOLD | {"severity": 4, "boxes": "others"})
    with pytest.raises(ResultsError, match="places differs"):
        robustness([*DIRECT[:2], moved])
    of_others = run("direct", 4, 8, perturbation=TOLD | {"severity": 4, "of": "g"})
    with pytest.raises(ResultsError, match="data differs"):
        robustness([*DIRECT[:2], of_others])
    fewer = replace(DIRECT[2].tasks[0], samples=DIRECT[2].tasks[0].samples[1:])
    with pytest.raises(ResultsError, match="1 of them in one only, for example mini/test/0"):
        robustness([*DIRECT[:2], replace(DIRECT[2], tasks=(fewer,))])
    with pytest.raises(ResultsError, match="--allow weather: unknown"):
        robustness(DIRECT, ["weather"])


def test_images_without_a_box_and_other_severities_are_told() -> None:
    unboxed = TOLD | {"images_without_a_box": 3, "images_with_a_box": 37}
    runs = [DIRECT[0], *(run("direct", s, 8, perturbation=unboxed | {"severity": s}) for s in (2, 4))]
    (found,) = robustness([*runs, SEEK[0], run("attrseek", 2, 8, perturbation=unboxed | {"severity": 2})])
    assert found.contrasts == ()
    assert "3 images have no published box" in found.notes[0]
    assert "not all ways of asking were run at the same severities" in found.notes[1]


def test_each_seed_and_perturbation_is_a_figure_of_its_own(tmp_path: Path) -> None:
    other = [run("direct", s, 8, perturbation=TOLD | {"severity": s, "seed": 7}) for s in (1, 2)]
    found = robustness([*DIRECT, *other])
    assert [(one.seed, len(one.curves[0].points)) for one in found] == [(0, 3), (7, 3)]
    names = [path.name for path in plot_robustness(found, tmp_path)]
    assert names[::2] == ["robust-mini-fine-occlusion.png", "robust-mini-fine-occlusion-7.png"]


def test_the_table_tells_scores_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    print_robustness(robustness([*DIRECT, *SEEK]), PlainConsole(width=80))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert re.search(r"asked: attrseek\n(.*\n)+?│ +4 │ +0\.600 \[.*│ +0\.200 \[.*│ +0\.750 \[", printed)
    assert "attrseek, em: degrades more slowly than direct (slopes differ by +0.100" in printed
    assert "severity 4: 4 of 5" in printed


@pytest.mark.slow
def test_evaluations_are_kept_and_those_of_another_plan_refused(
    mini_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real command, on a few documents; a severity is added to those that are there."""
    command = ["robust", "--model", "finer_hf", "--model-args", "pretrained=finer-mini", "--limit", "6", "--json"]
    command += ["--runs", str(tmp_path / "out"), "--perturb", "dark"]
    assert main([*command, "--severities", "5"]) == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert {curve["way"]: len(curve["points"]) for curve in found["curves"]} == {"direct": 2, "attrseek": 2}
    assert found["contrasts"][0]["way"] == "attrseek"
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json*")}
    assert main([*command, "--severities", "5"]) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json*")}
    assert main([*command, "--severities", "5", "--limit", "7"]) == 2
    assert "holds evaluations with another limit; give another --runs" in capfd.readouterr().err
    monkeypatch.setenv("FINER_PERTURB", "blur:1")
    assert main(command) == 2
    assert "sets it for each severity" in capfd.readouterr().err


def test_what_cannot_be_evaluated_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], mini_data: Path) -> None:
    for words, told in (
        ([], "give result folders"),
        (["--model", "finer_hf"], "--model needs --runs"),
        (["--model", "m", "--runs", "o", "--perturb", "fog"], "'fog:1:0' is no perturbation"),
        (["--model", "m", "--runs", "o", "--severities", "9"], "severities are 1 to 5"),
        (["--model", "m", "--runs", "o", "--model-args", "petf"], "are no model arguments"),
        (["--model", "m", "--runs", "o", "--tasks", "finer_mini_fine_text"], "is no direct task"),
    ):
        assert main(["robust", *words]) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    request = Request("finer_hf", "", ("finer_mini_fine",), perturbations_of(["blur"], ["1"], 0))
    with pytest.raises(ResultsError, match="is not empty and holds no plan"):
        evaluate_severities(request, tmp_path / "mine")
    with pytest.raises(PerturbationError):
        perturbations_of(["blur"], ["x"], 0)
    assert [str(one) for one in perturbations_of(["blur", "blur"], [], 3)] == [f"blur:{s}:3" for s in range(1, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llava-next", "qwen2.5-vl", "idefics3"])
def test_other_architectures_take_perturbed_images(
    architecture: str, mini_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crop gives a small image, of which some processors make fewer tokens."""
    save(architecture, tmp_path / "model")
    runs = []
    for setting in ("", "crop:5"):
        monkeypatch.setenv("FINER_PERTURB", setting)
        tasks, arguments = ["finer_mini_fine"], f"pretrained={tmp_path / 'model'}"
        runs.append(evaluate(tasks, tmp_path / f"out{setting[:4]}", model_args=arguments, limit=6, batch_size=3))
    (found,) = robustness(runs)
    assert (found.perturbation, found.documents, [point.severity for point in found.curves[0].points]) == ("crop", 6, [0, 5])
