"""Held-in and held-out means, claims and how many attributes were seen, on scores written by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finer_tasks.training.recipe import read_recipe
from finer_tasks.training.reproduce.coverage import seen_shares
from finer_tasks.training.reproduce.findings import Claim, claims, figures
from finer_tasks.training.reproduce.partition import Group
from finer_tasks.training.reproduce.plan import Plan
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
