"""lmms-eval's own classes of vLLM and SGLang with our tasks, the engines replaced at their doors."""

from __future__ import annotations

from pathlib import Path

import pytest
from loguru import logger

from finer_tasks.models.loading import BUILT_IN
from finer_tasks.runs.reading import Run
from tests.e2e.engines import Engine, without_gpu
from tests.e2e.evaluating import evaluate

DOCUMENTS, BATCH = 5, 4
DIRECT, TEXT = "finer_mini_coarse", "finer_mini_fine_text"
SEEK, PREDICTED = "finer_mini_fine_attrseek", "finer_mini_fine_parent_predicted"
TASKS = (DIRECT, TEXT, SEEK, PREDICTED)


def replies(run: Run) -> dict[str, list[list[str]]]:
    """All replies of each document by task."""
    return {task.name: [list(sample.outputs) for sample in task.samples] for task in run.tasks}


@pytest.fixture(scope="module")
def ours(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What finer_hf answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        return replies(evaluate(TASKS, tmp_path_factory.mktemp("ours"), limit=DOCUMENTS))


@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize(("backend", "engine"), [("vllm", "vllm"), ("vllm_generate", "vllm"), ("sglang", "sglang")])
def test_engines_answer_as_finer_hf(tmp_path: Path, ours: dict[str, list[list[str]]], backend: str, engine: str) -> None:
    arguments = f"model={BUILT_IN['finer-mini']},max_new_tokens=1"
    arguments = arguments if engine == "vllm" else arguments.partition(",")[0]
    with without_gpu(engine):
        run = evaluate(TASKS, tmp_path, backend, arguments, limit=DOCUMENTS, batch_size=BATCH)
    assert replies(run) == ours
    assert {task.name: task.identity.get("rounds", "") for task in run.tasks if "rounds" in task.identity} == dict.fromkeys(
        (SEEK, PREDICTED), "driver"
    )
    asked = [one for batch in Engine.batches for one in batch]
    # Two tasks of one question, and the rounds of the two others: each round of all documents in full batches.
    assert len(asked) == DOCUMENTS * (1 + 1 + 2 + 3)
    assert sorted(map(len, Engine.batches)) == sorted(full(2 * DOCUMENTS) + 2 * full(2 * DOCUMENTS) + full(DOCUMENTS))
    assert {image.size for one in asked for image in one.images} == {(64, 64)}
    assert sum(not one.images for one in asked) == DOCUMENTS
    assert {one.limit for one in asked} == {64, 256}
    assert {task.generation["max_new_tokens"] for task in run.tasks} == {64, 256}
    second = [one for one in asked if "ASSISTANT: " in one.prompt]
    assert len(second) == DOCUMENTS
    assert all(one.prompt.count("<image>") == 1 for one in second)


def full(requests: int) -> list[int]:
    """The sizes of the batches that hold so many requests."""
    return [min(BATCH, requests - start) for start in range(0, requests, BATCH)]


@pytest.mark.usefixtures("mini_data")
def test_the_limit_that_vllm_takes_instead_of_the_tasks_is_recorded(tmp_path: Path) -> None:
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING")
    try:
        with without_gpu("vllm"):
            run = evaluate([DIRECT], tmp_path, "vllm", f"model={BUILT_IN['finer-mini']}", limit=1)
    finally:
        logger.remove(sink)
    assert [one.limit for batch in Engine.batches for one in batch] == [4096]
    assert run.tasks[0].generation["max_new_tokens"] == 4096
    assert f"{DIRECT} from 64 to 4096" in "".join(told)
