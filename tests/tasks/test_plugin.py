"""The entry point against the installed lmms-eval."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.api.instance import Instance
from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.tasks import TaskManager

from finer_tasks import errors
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ChangedDataError, KnowledgeError, NotPreparedError, PromptError
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.tasks import plugin
from finer_tasks.tasks.table import list_groups, list_tasks
from tests import official


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    """lmms-eval's index of all tasks; building it takes seconds."""
    plugin.register()
    plugin.register()
    return TaskManager()


def test_the_entry_point_is_installed_and_registers_the_model() -> None:
    (entry,) = metadata.entry_points(group="lmms_eval.models", name="finer")
    assert entry.value == "finer_tasks.tasks.plugin:register"
    assert MODEL_REGISTRY_V2.resolve("finer_hf").class_path == "finer_tasks.models.finer_hf.FinerHF"
    assert MODEL_REGISTRY_V2.resolve("finer_hf", force_simple=True).class_path == "finer_tasks.models.finer_hf.FinerHFSimple"


def test_lmms_eval_finds_all_tasks_and_groups_however_often_we_register(mini_data: Path, manager: TaskManager) -> None:
    assert {task.name for task in list_tasks()} <= set(manager.all_subtasks)
    assert set(list_groups()) <= set(manager.all_groups)
    assert manager.match_tasks(["finer_mini_*"]) == sorted(n for n in manager.all_tasks if n.startswith("finer_mini_"))


def test_a_task_is_bound_to_its_data_and_identified(mini_data: Path, manager: TaskManager) -> None:
    config = manager._get_config("finer_mini_fine")
    identity = config["metadata"]["finer"]
    assert Path(config["dataset_path"]).is_dir()
    assert (identity["dataset"], identity["level"], identity["parent"]) == ("mini", "fine", "gold")
    assert identity["data_fingerprint"] == load_prepared("mini").manifest.contents["test"]
    assert identity["prompt_hash"]


def test_changed_prompts_or_data_change_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: TaskManager
) -> None:
    """lmms-eval keys cached answers by the config, so stale answers cannot be met."""
    root = official.cub(tmp_path / "cub")
    prepare(Request("cub", root, allow_partial=True))
    before = manager._get_config("finer_cub_fine")["metadata"]
    official.picture(root / "images/017.Cardinal/d.jpg", seed=7)
    prepare(Request("cub", root, allow_partial=True))
    after = manager._get_config("finer_cub_fine")["metadata"]
    assert before["finer"]["data_fingerprint"] != after["finer"]["data_fingerprint"]
    prompts = tmp_path / "mine.yaml"
    prompts.write_text("name: mine\ndirect: {superordinate: a, coarse: b, fine: c}\n")
    monkeypatch.setenv("FINER_PROMPTS", str(prompts))
    assert manager._get_config("finer_cub_fine")["metadata"]["finer"]["prompt_set"] == "mine"


def test_an_unprepared_or_damaged_dataset_is_an_error_at_once(tmp_path: Path, manager: TaskManager) -> None:
    with pytest.raises(NotPreparedError, match="finer prepare cub --root FOLDER"):
        manager._get_config("finer_cub_fine")
    result = prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    arrow = next((result.data / "test").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes() + b"x")
    with pytest.raises(ChangedDataError, match="finer prepare cub"):
        manager._get_config("finer_cub_fine")


def test_an_unprepared_dataset_is_noticed_before_a_model_is_loaded(mini_data: Path, manager: TaskManager) -> None:
    assert manager.match_tasks(["finer_mini_fine", "mme"]) == ["finer_mini_fine", "mme"]
    for tasks in (["finer_cub_fine"], ["finer_mini_fine", "finer_cub"], ["finer"]):
        with pytest.raises(NotPreparedError, match="finer prepare"):
            manager.match_tasks(tasks)


def test_changed_data_prompts_and_attributes_are_noticed_before_a_model_is_loaded(
    tmp_path: Path, manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    with pytest.raises(KnowledgeError, match="finer attributes"):
        manager.match_tasks(["finer_cub_fine", "finer_cub_attributes"])
    arrow = next((result.data / "test").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes() + b"x")
    with pytest.raises(ChangedDataError, match="finer prepare cub"):
        manager.match_tasks(["finer_cub_fine"])
    monkeypatch.setenv("FINER_PROMPTS", "absent.yaml")
    with pytest.raises(PromptError, match="absent"):
        manager.match_tasks(["finer_mini_fine"])


def test_what_lmms_eval_calls_ends_with_one_line(
    mini_data: Path, manager: TaskManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(errors, "_under_lmms_eval_command", lambda: True)
    config = manager._get_config("finer_mini_fine")
    calls = [config["doc_to_text"], config["doc_to_visual"], config["doc_to_target"], config["process_results"]]
    calls.append(config["metric_list"][0]["aggregation"])
    for call in calls:
        with pytest.raises(SystemExit) as ended:
            call(None, None) if call in calls[::3] else call(None)
        assert ended.value.code == 70
        assert "finer: unexpected" in capsys.readouterr().err


@pytest.fixture(scope="module")
def loaded(shared_data: Path, manager: TaskManager) -> dict[str, Any]:
    """A task of ours as lmms-eval loads it, in a group as well, and none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        task = manager.load_task_or_group("finer_mini_fine", "chat")
    return {"ours": task, "grouped": {"mine": task}, "others": {"mme": None}}


def key_of_cache(folder: Path, tasks: dict[str, Any], **arguments: str) -> str:
    cache = ResponseCache.create(str(folder / "cache"), model="vllm", model_args=arguments, task_dict=tasks)
    cache.finalize(success=False)
    return str(cache._model_fingerprint_hash)


def test_replaced_weights_meet_no_cached_answers(tmp_path: Path, loaded: dict[str, Any]) -> None:
    """A byte deep in the file of equal size and time, an adapter, its base, or the commit of a hub model."""
    model, adapter = tmp_path / "model", tmp_path / "adapter"
    for folder, config, weights in ((model, "config.json", b"a" * 5000), (adapter, "adapter_config.json", b"b" * 5000)):
        folder.mkdir()
        (folder / config).write_text(json.dumps({"base_model_name_or_path": str(model)}))
        (folder / "model.safetensors").write_bytes(weights)
    (model / "checkpoint-2").mkdir()
    alone, both, other = {"model": str(model)}, {"pretrained": "org/name", "peft": str(adapter)}, {"pretrained": str(adapter)}
    first = [key_of_cache(tmp_path, loaded["ours"], **arguments) for arguments in (alone, both, other)]
    assert first == [key_of_cache(tmp_path, loaded["ours"], **arguments) for arguments in (alone, both, other)]
    status = (model / "model.safetensors").stat()
    (model / "model.safetensors").write_bytes(b"a" * 2500 + b"c" + b"a" * 2499)
    os.utime(model / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns))
    second = [key_of_cache(tmp_path, loaded["ours"], **arguments) for arguments in (alone, both, other)]
    assert all(a != b for a, b in zip(first, second, strict=True))
    (model / "checkpoint-2/optimizer.pt").write_bytes(b"training")
    assert second == [key_of_cache(tmp_path, loaded["ours"], **arguments) for arguments in (alone, both, other)]
    assert key_of_cache(tmp_path, loaded["grouped"], **alone) == second[0]
    assert key_of_cache(tmp_path, loaded["others"], **alone) not in second


class Answering:
    """Answers each request with the next of its replies."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return [self.replies.pop(0) for _ in requests]


@pytest.mark.parametrize(("tasks", "second"), [("ours", "Pug"), ("others", "[LMMS_EVAL_BUDGET_EXCEEDED]")])
def test_failed_requests_are_made_again_and_not_taken_from_the_cache(
    tmp_path: Path, loaded: dict[str, Any], tasks: str, second: str
) -> None:
    (task,) = loaded[tasks]
    found = []
    for reply in ("[LMMS_EVAL_BUDGET_EXCEEDED]", "Pug", "Beagle"):
        cache = ResponseCache.create(str(tmp_path), model="vllm", model_args="", task_dict=loaded[tasks])
        arguments = ("Which?", {"temperature": 0, "do_sample": False}, None, 0, task, "test")
        request = Instance("generate_until", arguments, 0, {"task": task, "doc_id": 0, "repeats": 1})
        found += cache.execute(Answering(reply), "generate_until", [request])
        cache.finalize(success=True)
    assert found == ["[LMMS_EVAL_BUDGET_EXCEEDED]", second, second]


def test_the_commit_of_a_hub_model_is_part_of_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--org--name"
    for commit in ("1" * 40, "2" * 40):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = set()
    for commit in ("1" * 40, "2" * 40):
        (repository / "refs/main").write_text(commit)
        found.add(weights_fingerprint({"pretrained": "org/name", "dtype": "auto"}))
    assert len(found) == 2
    assert weights_fingerprint({"pretrained": "org/name", "revision": "1" * 40}) in found
    assert weights_fingerprint({"model_version": "gpt-none", "base_url": "http://localhost/v1"}) == ""


def test_tasks_of_others_are_left_alone(manager: TaskManager) -> None:
    assert "finer" not in (manager._get_config("mme").get("metadata") or [])
