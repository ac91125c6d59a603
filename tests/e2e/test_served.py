"""`transformers serve` with finer-mini, asked through lmms-eval's own clients: answers as those of finer_hf."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from finer_tasks.attributes.build import prompt_for
from finer_tasks.attributes.knowledge import knowledge_path, read_knowledge
from finer_tasks.cli.main import main
from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.runs.reading import Run
from tests.e2e.evaluating import ALL_VARIANTS, evaluate
from tests.e2e.serving import ModelServer, model_server, teach

pytestmark = pytest.mark.slow
MINI = BUILT_IN["finer-mini"]
PREDICTED = "finer_mini_fine_parent_predicted"
TASKS = (*ALL_VARIANTS, "finer_mini_superordinate", "finer_mini_coarse_parent_none", PREDICTED)
# Its number format on a CPU is finer_hf's there, not the checkpoint's.
OPTIONS = ("--device", "cpu", "--dtype", "float32")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    with model_server(tmp_path_factory.mktemp("server"), *OPTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def ours(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        return evaluate(TASKS, tmp_path_factory.mktemp("ours"), limit=4)


def replies(run: Run) -> dict[str, list[list[str]]]:
    """All replies of each document by task."""
    return {task.name: [list(sample.outputs) for sample in task.samples] for task in run.tasks}


@pytest.mark.usefixtures("mini_data")
@pytest.mark.parametrize("backend", ["openai", "async_openai"])
def test_all_variants_are_answered_as_by_finer_hf(
    backend: str, server: ModelServer, ours: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = evaluate(TASKS, tmp_path, backend, server.model_args(MINI), limit=4)
    assert replies(served) == replies(ours)
    rounds = {task.name: task.identity["rounds"] for task in served.tasks if "rounds" in task.identity}
    assert len(rounds) == 3
    assert set(rounds.values()) == {"driver"}
    assert [len(sample.outputs) for task in served.tasks if task.name == PREDICTED for sample in task.samples] == [3] * 4
    capsys.readouterr()
    assert main(["gap", str(tmp_path), "--plots", str(tmp_path / "plots")]) == 0
    assert "named from text, not from image" in capsys.readouterr().out
    assert (tmp_path / "plots" / "gap-mini-fine.png").exists()


@pytest.mark.usefixtures("mini_data")
def test_answers_are_cached_until_prompts_change(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, counts, before = tmp_path / "mine.yaml", [], server.completions
    prompts.write_text('name: mine\ndirect: {superordinate: "a", coarse: "Which kind?", fine: "c"}\n')
    for active in ("", "", str(prompts)):
        if active:
            monkeypatch.setenv("FINER_PROMPTS", active)
        cache = str(tmp_path / "cache")
        evaluate(["finer_mini_coarse"], tmp_path / "out", "openai", server.model_args(MINI), limit=4, use_cache=cache)
        counts.append(server.completions - before)
    assert counts == [4, 4, 8]


def test_real_photographs_reach_the_model_as_they_do_in_finer_hf(real: Path, server: ModelServer, tmp_path: Path) -> None:
    root = tmp_path / "CUB_200_2011"
    shutil.copytree(real / "cub", root)
    shutil.copytree(real / "photos/cub_real", root / "images")
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial"]) == 0
    tasks = ["finer_cub_fine", "finer_cub_coarse", "finer_cub_superordinate"]
    served = evaluate(tasks, tmp_path / "served", "openai", server.model_args(MINI))
    assert replies(served) == replies(evaluate(tasks, tmp_path / "ours"))
    assert {len(task.samples) for task in served.tasks} == {6}


def test_a_knowledge_base_is_built_with_a_served_model(
    server: ModelServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    concepts = concepts_of("cub").listed[:3]
    lists = (
        "Required:\n- red body\n- no crest\nLikely:\n- none",
        "Required:\n- orange beak\nLikely:\n- gray wing",
        "I cannot say.",
    )
    model = teach(MINI, dict(zip((prompt_for(concept, None) for concept in concepts), lists, strict=True)), tmp_path / "taught")
    build = ["attributes", "build", "cub", "--endpoint", server.url, "--model", str(model), "--encyclopedia", "", "--limit"]
    before = server.completions
    assert main([*build, "2"]) == 0
    assert "2 of 2 concepts made; 2 asked, 0 from the cache" in " ".join(capsys.readouterr().out.split())
    assert main([*build, "3"]) == 2  # the third has no list, and the first two are not asked again
    assert server.completions - before == 3
    kept = json.loads(knowledge_path("cub").with_suffix(".failures.json").read_text())
    assert {name: " ".join(reply.split()) for name, reply in kept.items()} == {
        concepts[2].concept_id: "[no attributes found] I cannot say."
    }
    made = read_knowledge("cub", knowledge_path("cub")).concepts
    assert {name: (entry.required, entry.likely) for name, entry in made.items()} == {
        concepts[0].concept_id: (("red body", "no crest"), ()),
        concepts[1].concept_id: (("orange beak",), ("gray wing",)),
    }
    assert {entry.provenance.model for entry in made.values()} == {str(model)}
