"""`finer probe` as a user calls it, on mini."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.probe.results import read_predictions, read_probe
from tests import official

SMALL = ("--per-concept", "2", "--limit", "24", "--levels", "fine", "--points", "encoder.used.mean,projector")


def probe(folder: Path, *options: str, model: str = "finer-mini", dataset: str = "mini") -> int:
    return main(["probe", "--pretrained", model, "--dataset", dataset, "--output", str(folder), *options])


def test_probe_from_the_model_to_the_plot(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(tmp_path / "out", *SMALL) == 0
    assert "mini, fine: 64 labels, 128 documents to fit, 24 of" in capsys.readouterr().out
    summary = read_probe(tmp_path / "out")
    assert [(point.name, point.width) for point in summary.points] == [("encoder.used.mean", 128), ("projector.mean", 192)]
    assert Counter((figure.probe, figure.control) for figure in summary.figures) == Counter(
        {(probe, control): 2 for probe in ("linear", "mlp", "neighbour") for control in ("", "shuffled", "equal_width")}
    )
    for figure in summary.figures:
        assert figure.top1.low <= figure.top1.value <= figure.top1.high
        assert figure.top1.value < 0.2 if figure.control == "shuffled" else figure.top1.value > 0.4
        assert figure.width == (128 if figure.control == "equal_width" else figure.width)
    lines = list(read_predictions(tmp_path / "out"))
    assert len(lines) == len(summary.figures) * 24
    figure = next(one for one in summary.figures if (one.point, one.probe, one.control) == ("projector.mean", "linear", ""))
    mine = [one for one in lines if (one.point, one.probe, one.control) == ("projector.mean", "linear", "")]
    assert sum(one.rank == 1 for one in mine) / 24 == pytest.approx(figure.top1.value)
    assert all((one.rank == 1) == (one.label == one.predicted == one.concept_id) for one in lines)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"probe-fine.png", "probe-fine.svg", "features"}


def test_the_same_twice_gives_the_same(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = (*SMALL, "--probes", "neighbour", "--json")
    for folder in ("a", "b"):
        assert probe(tmp_path / folder, *options) == 0
    first, second = (read_probe(tmp_path / folder) for folder in ("a", "b"))
    assert first == second
    assert (tmp_path / "a" / "predictions.jsonl").read_bytes() == (tmp_path / "b" / "predictions.jsonl").read_bytes()
    capsys.readouterr()
    assert probe(tmp_path / "a", *options) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "a" / "probe.json").read_text())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--per-concept", "999"), "fewer than 999 images in train"),
        (("--per-concept", "1"), "--per-concept 1: give 2 at least"),
        (("--dataset", "birds"), "'birds'"),
        (("--levels", "species"), "--levels species: no level"),
        (("--points", "projector", "--probes", "tree"), "--probes tree: no probe"),
        (("--points", "language.99"), "has 4 layers"),
        (("--pooling", "max"), "--pooling max: no way of pooling"),
        (("--dtype", "int8"), "finer: dtype=int8 is no precision"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    options: tuple[str, ...], told: str, mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(tmp_path / "out", *options) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_results_of_another_level_take_their_plots_with_them(mini_data: Path, tmp_path: Path) -> None:
    options = ("--per-concept", "2", "--limit", "4", "--points", "projector", "--probes", "neighbour", "--levels")
    for level in ("coarse", "fine"):
        assert probe(tmp_path / "out", *options, level) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("probe-*")) == ["probe-fine.png", "probe-fine.svg"]
    (note,) = read_probe(tmp_path / "out").notes
    assert "show one concept" in note


def test_another_probes_folder_is_left_alone(mini_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(tmp_path / "out", *SMALL, "--probes", "neighbour") == 0
    before = (tmp_path / "out" / "probe.json").read_bytes()
    assert probe(tmp_path / "out", *SMALL, "--dtype", "bfloat16") == 2
    assert "features of another probe: options, precision differ" in capsys.readouterr().err
    assert (tmp_path / "out" / "probe.json").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    assert probe(tmp_path / "file", *SMALL) == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_concept_with_one_image_to_fit_on_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official.cub(tmp_path / "CUB_200_2011")
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial"]) == 0
    assert probe(tmp_path / "out", dataset="cub") == 2
    assert "2 of 2 concepts of cub have fewer than 2 images in train" in capsys.readouterr().err


def test_a_dataset_without_train_split_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official.cub(tmp_path / "CUB_200_2011")
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial", "--splits", "test"]) == 0
    assert probe(tmp_path / "out", dataset="cub") == 2
    assert "cub was prepared without its train split. Run: finer prepare cub" in capsys.readouterr().err
