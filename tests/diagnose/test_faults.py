"""The proof: a fault is planted in finer-mini, and the verdict finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from finer_tasks.datasets.mini.reader import IMAGES_PER_CLASS, mini_concepts
from finer_tasks.diagnose.diagnosis import Diagnosis, diagnose
from finer_tasks.diagnose.joining import join
from finer_tasks.diagnose.verdict import LANGUAGE, NAMED, NOT_SEEN, PROJECTOR, UNDECIDED, UNKNOWN, UNNAMED
from finer_tasks.models.loading import LoadOptions
from finer_tasks.probe.running import Wanted, run_probe
from finer_tasks.training.tiny_llava.stages import Schedule
from tests.diagnose import faults
from tests.e2e.evaluating import evaluate
from tests.training import tiny_models

CONCEPTS = [one.concept.concept_id for one in mini_concepts()[:16]]
SOME = CONCEPTS[::4]
DOCUMENTS = len(CONCEPTS) * IMAGES_PER_CLASS["test"]
TASKS = ("finer_mini_fine", "finer_mini_fine_closed", "finer_mini_fine_text")
POINTS = ("encoder.used.mean", "projector.mean", "language.4.last")
Plant = Callable[[Path], Path]


def diagnosed(model: str, folder: Path, documents: int = DOCUMENTS, points: Sequence[str] = POINTS) -> Diagnosis:
    """The fine level of the first concepts, with probes fitted on a few images."""
    run = evaluate(TASKS, folder / "runs", model_args=f"pretrained={model}", batch_size=32, limit=documents)
    wanted = Wanted("mini", points, levels=("fine",), probes=("linear",), per_concept=8, limit=documents, batch_size=32)
    run_probe(LoadOptions(model), wanted, folder / "probe")
    (one,) = join([run], folder / "probe")
    return diagnose(one)


@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize(
    ("plant", "concepts", "fate"),
    [
        (faults.blind, CONCEPTS, NOT_SEEN),
        pytest.param(faults.flat_projector, CONCEPTS, PROJECTOR, marks=pytest.mark.slow),
        pytest.param(faults.turned_projector, CONCEPTS, LANGUAGE, marks=pytest.mark.slow),
        pytest.param(
            partial(faults.never_taught, concepts=SOME, others=CONCEPTS, schedule=Schedule(60, 16, 1e-3)), SOME, UNKNOWN,
            marks=pytest.mark.slow,
        ),
        (partial(faults.forbidden_names, concepts=SOME), SOME, UNNAMED),
    ],
    ids=["blind", "flat projector", "turned projector", "never taught", "forbidden names"],
)  # fmt: skip
def test_the_verdict_finds_the_planted_fault(plant: Plant, concepts: Sequence[str], fate: str, tmp_path: Path) -> None:
    found = diagnosed(str(plant(tmp_path / "model")), tmp_path)
    fates = {one.concept: one.fate for one in found.verdicts}
    planted = [fates[concept] for concept in concepts]
    assert planted.count(fate) >= 0.75 * len(planted)
    untouched = [fates[concept] for concept in CONCEPTS if concept not in concepts]
    assert untouched.count(NAMED) >= 0.8 * len(untouched)
    assert fate not in untouched


@pytest.mark.slow
@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize(
    ("plant", "fate"),
    [(partial(faults.flat_projector, rank=1), PROJECTOR), (faults.scrambled_language, LANGUAGE)],
    ids=["projector of rank 1", "scrambled language model"],
)
def test_the_largest_loss_is_where_a_fault_spoils_a_part_of_it(plant: Plant, fate: str, tmp_path: Path) -> None:
    found = diagnosed(str(plant(tmp_path / "model")), tmp_path)
    shares = found.overall.shares
    assert max(shares, key=lambda one: shares[one].value) == fate
    assert found.overall.concepts[fate] >= len(CONCEPTS) / 2


@pytest.mark.slow
@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize("architecture", ["llava-next", "qwen2.5-vl", "internvl"])
def test_a_random_model_of_any_architecture_names_nothing(architecture: str, tmp_path: Path) -> None:
    """Random features still tell pictures apart, so that the encoder may hold concepts; what stands behind it cannot."""
    tiny_models.save(architecture, tmp_path / "model")
    points = ("encoder.used.mean", "projector.mean", "language.2.last")
    found = diagnosed(str(tmp_path / "model"), tmp_path, documents=40, points=points)
    assert [row.stage for row in found.stages] == ["encoder", "projector", "language", "closed", "open"]
    assert {one.fate for one in found.verdicts} <= {NOT_SEEN, PROJECTOR, LANGUAGE, UNKNOWN, UNDECIDED}
    assert found.overall.shares[NAMED].value == 0
    assert found.stages[-1].threshold.above == found.stages[-2].threshold.above == 0
