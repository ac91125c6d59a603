"""The gate on runs of closed sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.cli.main import main
from finer_tasks.datasets.concepts import concepts_of
from tests.closed_runs import write_closed_run

CONCEPTS = [concept.concept_id for concept in concepts_of("mini")][1:] * 2
OTHER = "alder_finch"


def test_closed_sets_are_compared_by_what_every_backend_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = [(name, 0.9) for name in CONCEPTS]
    worse = [(OTHER if number % 3 else name, 0.9) for number, name in enumerate(CONCEPTS)]
    before = write_closed_run(tmp_path / "before", CONCEPTS, {"fine": right})
    after = write_closed_run(tmp_path / "after", CONCEPTS, {"fine": worse}, kinds=["norm"])
    regress = ["regress", "--baseline", str(before), "--candidate"]
    assert main([*regress, str(before)]) == 0
    assert "closed_top1_norm" in capsys.readouterr().out
    assert main([*regress, str(after)]) == 1
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{metric: closed_rank_norm, max_drop: 2, direction: lower}]\n")
    assert main([*regress, str(before), "--policy", str(policy)]) == 0
    policy.write_text("rules: [{metric: closed_top1_sum}]\n")
    assert main([*regress, str(after), "--policy", str(policy)]) == 2
    assert "finer_mini_fine_closed has no metric 'closed_top1_sum' on every document" in capsys.readouterr().err
