"""Held-in and held-out means, claims and how many attributes were seen, on scores written by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finer_tasks.errors import ResultsError
from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.coverage import seen_shares
from finer_tasks.training.reproduce.findings import Claim, claims, figures, read_probes, share_mean
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.partition import Group
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.report import Findings, tables
from finer_tasks.training.reproduce.scores import BASE, HELD_IN, HELD_OUT, Scores, asked_by

PLAN = replace(read_recipe(Plan, Path("mini-fast")), seeds=(0, 1, 2))
CONCEPTS = ("mini/a", "mini/b", "mini/c", "mini/d", "mini/e")
GROUPS = (Group("x", ("X",), ("mini/a", "mini/b")), Group("y", ("Y",), ("mini/c",)))


def scores(gain: float = 0.0, plan: Plan = PLAN) -> Scores:
    """Tables in which group, seed and concept can be told from each value; finer is `gain` above direct."""
    tables = {}
    shape = len(plan.seeds), len(CONCEPTS)
    noise = np.random.default_rng(0).normal(0, 0.001, shape)
    for asked in asked_by(plan):
        tables[BASE, asked.ending, ""] = np.full(shape, 0.2) + noise
        for number, group in enumerate(GROUPS):
            tables["direct", asked.ending, group.name] = np.full(shape, 0.4 + number / 10)
            tables["finer", asked.ending, group.name] = np.full(shape, 0.4 + gain + number / 10) + noise
    return Scores(plan, GROUPS, CONCEPTS, np.full(len(CONCEPTS), 4.0), tables)


def test_each_concept_is_judged_by_the_models_that_did_or_did_not_see_it() -> None:
    found = scores()
    out, into = (found.tuned("direct", "fine", part)[0] for part in (HELD_OUT, HELD_IN))
    assert out[:3] == pytest.approx([0.4, 0.4, 0.5])  # by the model of x, of x, of y
    assert np.isnan(out[3:]).all()  # in no group
    assert into == pytest.approx([0.5, 0.5, 0.4, 0.45, 0.45])
    assert found.known(HELD_OUT).tolist() == [True, True, True, False, False]
    by_group = next(f for f in figures(found) if (f.model, f.part, f.asked) == ("direct", HELD_OUT, "fine")).by_group
    assert by_group == pytest.approx({"x": 0.4, "y": 0.5})


def beats(found: Scores, part: str) -> Claim:
    return next(
        claim for claim in claims(found, None) if claim.part == part and claim.measured == "direct question, finer - direct"
    )


@pytest.mark.parametrize(("gain", "verdict"), [(0.1, "reproduced"), (-0.1, "opposite"), (0.0, "not shown")])
def test_a_claim_is_told_by_its_interval_over_runs_and_concepts(gain: float, verdict: str) -> None:
    for part, concepts in ((HELD_IN, 5), (HELD_OUT, 3)):
        claim = beats(scores(gain), part)
        assert (claim.verdict, claim.mean.concepts, claim.mean.runs) == (verdict, concepts, 3)
        assert claim.mean.value == pytest.approx(gain, abs=0.002)
        assert len(claim.by_seed) == 3
        assert 0 < claim.detectable < 0.01


def test_one_run_shows_nothing() -> None:
    claim = beats(scores(0.1, replace(PLAN, seeds=(0,))), HELD_IN)
    assert claim.verdict == "one run"
    assert math.isnan(claim.mean.low)


def test_equal_scores_are_no_evidence() -> None:
    found = scores()
    same = {key: np.full_like(table, 0.25) for key, table in found.tables.items()}
    claim = beats(replace(found, tables=same), HELD_IN)
    assert (claim.verdict, claim.mean.value) == ("no spread", 0.0)
    assert math.isnan(claim.detectable)


def test_intervals_of_shares_end_where_shares_do() -> None:
    mean = share_mean(np.array([[1.0, 1.0, 0.5], [1.0, 0.9, 1.0]]))
    assert 0 < mean.low < mean.value < mean.high == 1.0
    assert math.isnan(share_mean(np.ones((1, 3))).low)


def test_probes_of_other_images_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    plan, layout = replace(PLAN, seeds=(0, 1)), Layout(tmp_path)
    layout.probe("0").parent.mkdir()
    whole = {"concepts": ["a", "a", "b"], "vision encoder": [True, False, True], "projector": [True, False, False]}
    for seed in ("0", "1"):
        layout.probe(seed).write_text(json.dumps(whole))
    read = read_probes(plan, layout, ["a", "a", "b"])
    assert read is not None
    assert read["projector"].tolist() == [[0.5, 0.0], [0.5, 0.0]]
    for broken in ("{", "{}", "[]", json.dumps(whole | {"projector": [True]}), json.dumps(whole | {"concepts": ["a"]})):
        layout.probe("1").write_text(broken)
        with pytest.raises(ResultsError, match=r"1\.json is damaged, or is of other test images. Delete it and repeat"):
            read_probes(plan, layout, ["a", "a", "b"])


def test_what_was_made_on_two_machines_is_told() -> None:
    found = Findings(PLAN, GROUPS, [], [], {}, None, {"torch": ("2.14.1",), "processor": ("A", "B")})
    assert "Not all evaluations were made alike: processor A and B." in tables(found)
    alike = replace(found, made_by={"processor": ("A",)})
    assert "made alike" not in tables(alike)


def test_claims_are_made_of_what_was_asked_alone() -> None:
    less = replace(PLAN, levels=("fine",), arms=())
    assert {claim.measured.partition(",")[0] for claim in claims(scores(plan=less), None)} == {"direct question"}


def test_the_share_of_attributes_that_others_have(monkeypatch: pytest.MonkeyPatch) -> None:
    required = {"mini/a": ("red", "long"), "mini/b": ("red",), "mini/c": ("long",), "mini/d": ("red", "blue"), "mini/e": ()}
    monkeypatch.setattr("finer_tasks.training.reproduce.coverage._required", required.__getitem__)
    shares = seen_shares(scores())
    assert shares[:3] == pytest.approx([1.0, 1.0, 1.0])  # a: red by d, long by c; c: long by a
    assert np.isnan(shares[3:]).all()
    required["mini/d"] = ("blue",)
    assert seen_shares(scores())[:3] == pytest.approx([0.5, 0.0, 1.0])
