"""task_yamls/ is what the table of tasks gives, and says the same to lmms-eval."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lmms_eval.utils import load_yaml_config

from finer_tasks.datasets.registry import DATASETS, READERS
from finer_tasks.tasks import generate
from finer_tasks.tasks.table import VARIANTS, list_tasks
from finer_tasks.tasks.versions import CHANGES


def test_what_lies_on_disk_is_what_the_table_gives() -> None:
    assert generate.differences(generate.task_folder(), generate.files()) == []


def test_a_task_says_what_the_table_says() -> None:
    ways = {variant.name: variant for variant in VARIANTS}
    for task in list_tasks():
        path = generate.task_folder() / task.dataset / f"{task.name}.yaml"
        config, way = load_yaml_config(str(path), mode="full"), ways[task.way]
        assert (config["task"], config["dataset_path"], config["metadata"]) == (
            task.name,
            task.dataset,
            {"version": task.version},
        )
        assert config["lmms_eval_specific_kwargs"] == way.settings(task.level)
        assert (config["doc_to_visual"] is None) is not way.image
        assert (config["output_type"] == "generate_until") is not bool(way.next_question or way.choices)
        most = None if way.choices else 256 if way.long or way.includes else 64
        assert (config["generation_kwargs"] or {}).get("max_new_tokens") == most
        assert all(callable(metric["aggregation"]) for metric in config["metric_list"])
        assert len(path.read_text().splitlines()) == 4


def test_files_that_differ_are_written_again_and_foreign_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "task_folder", lambda: tmp_path)
    assert generate.main(["--check"]) == 2
    assert "python -m finer_tasks.tasks.generate" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert generate.main([]) == 0
    (tmp_path / "cub/finer_cub_fine.yaml").write_text("task: finer_cub_fine\n")
    foreign = tmp_path / "cub/finer_cub_mine.yaml"
    foreign.write_text("task: finer_cub_mine\n")
    (tmp_path / "mini/finer_mini.yaml").unlink()
    found = ["mini/finer_mini.yaml is missing", "cub/finer_cub_fine.yaml differs", "cub/finer_cub_mine.yaml is in no table"]
    assert generate.differences(tmp_path, generate.files()) == found
    assert generate.main([]) == 2
    assert "finer_cub_mine.yaml is in no table. Remove" in capsys.readouterr().err
    assert generate.differences(tmp_path, generate.files()) == found[2:]
    assert foreign.exists()
    foreign.unlink()
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_readme_has_what_the_harnesses_ask_for(dataset: str) -> None:
    text = (generate.task_folder() / dataset / "README.md").read_text()
    parts = ["Paper", "Citation", "Groups and tasks", "Checklist", "Changelog"]
    assert re.findall("^## (.*)$", text, re.MULTILINE) == parts
    assert text.count("```bibtex") == (1 if READERS[dataset].built_in else 2)
    for task in list_tasks():
        assert (f"| `{task.name}` | {task.version} |" in text) is (task.dataset == dataset)
    assert all(change.reason in text for change in CHANGES if change.concerns(dataset))
