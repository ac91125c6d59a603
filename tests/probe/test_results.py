"""What a probe writes is read back, and damage is told with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finer_tasks.probe.results import (
    Figure,
    LevelSummary,
    Point,
    Prediction,
    ProbeError,
    Summary,
    read_predictions,
    read_probe,
    write_probe,
)
from finer_tasks.statistics.bootstrap import Estimate

POINT = Point(name="projector.mean", place="projector", pooling="mean", width=8, order=1)
PREDICTION = Prediction(
    id="mini/test/1", concept_id="a", level="fine", point="projector.mean", place="projector", probe="linear", control="",
    label="a", predicted="b", rank=2,
)  # fmt: skip


def _summary() -> Summary:
    exact = Estimate(0.5, 0.25, 0.75)
    figure = Figure(level="fine", point="projector.mean", probe="linear", control="", top1=exact, macro=exact, width=8)
    level = LevelSummary(labels=2, train=8, test=4, concepts=2, chance=0.5)
    return Summary(
        finer_version="0", dataset="mini", model="m", made={"dtype": "float32"}, settings={}, points=(POINT,),
        levels={"fine": level}, figures=(figure,),
    )  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_probe(tmp_path, _summary(), [PREDICTION, PREDICTION])
    assert read_probe(tmp_path) == _summary()
    assert list(read_predictions(tmp_path)) == [PREDICTION, PREDICTION]


def test_damage_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"holds no probe\.json"):
        read_probe(tmp_path)
    write_probe(tmp_path, _summary(), [PREDICTION])
    with (tmp_path / "predictions.jsonl").open("a") as file:
        file.write('{"id": "x"}\n')
    with pytest.raises(ProbeError, match=r"predictions\.jsonl:2: .*concept_id"):
        list(read_predictions(tmp_path))
    whole = json.loads((tmp_path / "probe.json").read_text())
    for change, told in (
        ({"kind": "x"}, "no summary of"),
        ({"schema_version": 9}, "Update finer-tasks"),
        ({"points": []}, "points"),
    ):
        (tmp_path / "probe.json").write_text(json.dumps(whole | change))
        with pytest.raises(ProbeError, match=told):
            read_probe(tmp_path)
