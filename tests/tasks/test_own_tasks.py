"""The tasks of a user's own dataset, as the installed lmms-eval takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from lmms_eval.tasks import TaskManager
from loguru import logger

from finer_tasks.cli.main import main
from finer_tasks.datasets.places import own_folder
from finer_tasks.datasets.prepared import forget_loaded, load_prepared
from finer_tasks.errors import DatasetContentError, NotPreparedError
from finer_tasks.tasks import plugin
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.own import OwnTasksError, check_own_tasks, own_task_folders
from finer_tasks.tasks.table import VARIANTS, tasks_of
from tests import own


@pytest.fixture
def fungi(tmp_path: Path) -> Path:
    """The folder of a prepared dataset."""
    assert own.init(own.photos(tmp_path / "photos")) == 0
    assert main(["prepare", "fungi"]) == 0
    return own_folder("fungi")


def manager() -> TaskManager:
    plugin.register()
    return TaskManager(include_defaults=False)


def test_every_way_of_asking_is_there_and_needs_no_folder_of_the_package(fungi: Path) -> None:
    found = manager()
    assert {task.name for task in tasks_of("fungi")} <= set(found.all_subtasks)
    assert "finer_fungi" in found.all_groups
    assert len(tasks_of("fungi")) == sum(len(variant.levels) for variant in VARIANTS)
    assert "finer_mini_fine" in found.all_subtasks
    texts = [path.read_text() for path in (fungi / "tasks").rglob("*") if path.is_file()]
    assert not any(str(task_folder()) in text or ".." in text for text in texts)

    config = found._get_config("finer_fungi_fine")
    identity, manifest = config["metadata"]["finer"], load_prepared("fungi").manifest
    assert (identity["dataset"], identity["level"]) == ("fungi", "fine")
    assert identity["taxonomy"] == manifest.taxonomy
    assert identity["data_fingerprint"] == manifest.contents["test"]
    assert identity["data_source"].startswith("fungi, list ")
    text = (fungi / "taxonomy.yaml").read_text()
    (fungi / "taxonomy.yaml").write_text(text.replace("Fly Agaric:", "Fly Agaric: {aliases: [Amanita muscaria]}"))
    main(["prepare", "fungi"])
    changed = found._get_config("finer_fungi_fine")["metadata"]["finer"]
    assert changed["taxonomy"] != identity["taxonomy"]
    assert changed["data_fingerprint"] == identity["data_fingerprint"]


def test_one_that_is_not_prepared_or_damaged_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    own.init(own.photos(tmp_path / "photos"))
    found = manager()
    with pytest.raises(NotPreparedError, match=r"Run: finer prepare fungi$"):
        found.match_tasks(["finer_fungi"])
    (own_folder("fungi") / "dataset.yaml").write_text("name: [")
    forget_loaded()
    with pytest.raises(DatasetContentError, match=r"dataset.yaml:"):
        found.match_tasks(["finer_fungi_fine"])
    assert found.match_tasks(["finer_mini_fine"]) == ["finer_mini_fine"]


@pytest.mark.parametrize("text", ["[", "", "include: _templates/gone\n", "- a\n", "a: b\n", "\x00"])
def test_tasks_that_cannot_be_read_are_kept_from_lmms_eval(fungi: Path, text: str) -> None:
    assert own_task_folders() == [str(fungi / "tasks")]
    path = fungi / "tasks/finer_fungi_fine.yaml"
    path.write_text(text)
    assert own_task_folders() == []
    check_own_tasks(["finer_mini_fine", "finer", "finer_fungicides"])
    for pattern in ("finer_fungi", "finer_fungi_fine", "finer_fungi_*"):
        with pytest.raises(OwnTasksError, match=r"fungi cannot be read: .*finer_fungi_fine.yaml.* finer dataset update fungi"):
            check_own_tasks([pattern])
    assert main(["dataset", "update", "fungi"]) == 0
    check_own_tasks(["finer_fungi"])
    assert own_task_folders() == [str(fungi / "tasks")]


def test_without_tasks_the_command_that_makes_them_is_named(fungi: Path) -> None:
    (fungi / "tasks").rename(fungi / "elsewhere")
    assert own_task_folders() == []
    with pytest.raises(OwnTasksError, match=r"tasks is not there. Run: finer dataset update fungi"):
        check_own_tasks(["finer_fungi_fine"])


def test_tasks_of_another_version_run_and_say_so(fungi: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fungi / "tasks/_templates/fine"
    path.write_text(path.read_text() + "# older\n")
    told: list[str] = []
    sink = logger.add(told.append, format="{message}")
    check_own_tasks(["finer_mini_fine"])
    assert told == []
    check_own_tasks(["finer_fungi_fine"])
    assert "not those of this version (_templates/fine differs). Run: finer dataset update fungi" in told.pop()
    assert own_task_folders() == [str(fungi / "tasks")]
    assert main(["tasks", "--dataset", "fungi"]) == 0
    assert "not those of this version (_templates/fine differs). Run: finer" in " ".join(capsys.readouterr().out.split())
    assert main(["dataset", "update", "fungi"]) == 0
    assert "1 files of tasks written" in capsys.readouterr().out
    check_own_tasks(["finer_fungi_fine"])
    assert told == []
    logger.remove(sink)


def test_what_is_none_of_the_tasks_is_named_and_kept(fungi: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = fungi / "tasks/finer_fungi_mine.yaml"
    mine.write_text("include: _templates/fine\ntask: finer_fungi_mine\ndataset_path: fungi\n")
    assert main(["dataset", "update", "fungi"]) == 0
    assert "finer_fungi_mine.yaml is in no table" in capsys.readouterr().out
    assert mine.exists()
    assert own_task_folders() == [str(fungi / "tasks")]
