"""Tasks that users write: of our templates, of copies of them, or of their own under a name like ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from loguru import logger

from finer_tasks.errors import NotPreparedError
from finer_tasks.tasks import plugin
from finer_tasks.tasks.binding import TaskError
from finer_tasks.tasks.generate import task_folder
from tests.tasks.backends import Backend

INCLUDING = f"include: {task_folder()}/_templates/fine\n"
COPIED = """
task: copied_fine
dataset_path: mini
test_split: test
output_type: generate_until
doc_to_visual: !function finer_tasks.hooks.doc_to_visual
doc_to_text: !function finer_tasks.hooks.doc_to_text
doc_to_target: !function finer_tasks.hooks.fine_target
process_results: !function finer_tasks.hooks.score_fine
generation_kwargs: {max_new_tokens: 8}
filter_list:
  - name: none
    filter: [{function: !function finer_tasks.rounds.FirstReply}]
lmms_eval_specific_kwargs: {level: fine, parent: gold}
metric_list:
  - {metric: em, aggregation: !function finer_tasks.hooks.mean, higher_is_better: true}
"""

Manager = Callable[..., TaskManager]


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    """lmms-eval's index of the given YAMLs beside our tasks."""
    plugin.register()

    def made(*yamls: str) -> TaskManager:
        for number, text in enumerate(yamls):
            (tmp_path / f"{number}.yaml").write_text(text)
        return TaskManager(include_path=str(tmp_path), include_defaults=False)

    return made


@pytest.mark.parametrize("name", ["my_birds", "finer_of_mine"])
def test_a_task_of_our_templates_is_asked_as_ours_are(mini_data: Path, manager: Manager, name: str) -> None:
    mine = f"{INCLUDING}task: {name}\ndataset_path: mini\ngeneration_kwargs: {{max_new_tokens: 9}}\n"
    results = simple_evaluate(model=Backend(), tasks=[name], limit=2, task_manager=manager(mine), bootstrap_iters=0)
    assert results["results"][name]["em,none"] == 0.0
    config = results["configs"][name]
    assert (config["metadata"]["finer"]["dataset"], config["generation_kwargs"]["max_new_tokens"]) == ("mini", 9)


def test_a_copy_with_the_old_names_of_our_functions_still_works(mini_data: Path, manager: Manager) -> None:
    tasks = manager(COPIED)
    results = simple_evaluate(
        model=Backend(), tasks=["copied_fine", "finer_mini_fine"], limit=2, task_manager=tasks, bootstrap_iters=0
    )
    copied, ours = (results["samples"][name] for name in ("copied_fine", "finer_mini_fine"))
    assert [sample["em_strict"] for sample in copied] == [sample["em_strict"] for sample in ours]
    assert results["configs"]["copied_fine"]["metadata"]["finer"] == results["configs"]["finer_mini_fine"]["metadata"]["finer"]


def test_the_old_places_say_the_new_ones() -> None:
    import importlib

    from finer_tasks.tasks import hooks, rounds

    for old, name, new in (("hooks", "score_fine", hooks), ("rounds", "FirstReply", rounds)):
        module = importlib.import_module(f"finer_tasks.{old}")
        told: list[str] = []
        sink = logger.add(told.append, level="WARNING")  # warnings.warn would not be seen: lmms-eval silences it
        importlib.reload(module)
        logger.remove(sink)
        assert f"write !function finer_tasks.tasks.{old}" in told[0]
        assert getattr(module, name) is getattr(new, name)


def test_a_task_of_other_data_or_functions_is_left_alone_whatever_its_name(tmp_path: Path, manager: Manager) -> None:
    other_data = f"{INCLUDING}task: finer_mytask\ndataset_path: me/my-data\n"
    other_functions = "task: finer_cub_mine\ndataset_path: cub\ntest_split: test\ndoc_to_text: question\n"
    tasks = manager(other_data, other_functions)
    names = ["finer_mytask", "finer_cub_mine"]
    assert tasks.match_tasks(names) == sorted(names)
    for name in names:
        config = tasks._get_config(name)
        assert "finer" not in (config.get("metadata") or {})
    assert tasks._get_config("finer_mytask")["dataset_path"] == "me/my-data"


def test_a_scorer_of_the_users_own_is_called_as_it_is(mini_data: Path, manager: Manager) -> None:
    mine = f"{INCLUDING}task: scored_by_me\ndataset_path: mini\nprocess_results: !function tests.tasks.theirs.score\n"
    metrics = "metric_list: [{metric: theirs, aggregation: mean, higher_is_better: true}]\n"
    results = simple_evaluate(
        model=Backend(), tasks=["scored_by_me"], limit=2, task_manager=manager(mine + metrics), bootstrap_iters=0
    )
    assert results["results"]["scored_by_me"]["theirs,none"] == 1.0
    assert results["configs"]["scored_by_me"]["metadata"]["finer"]["scorer"] == "score"


def test_a_task_may_take_our_questions_and_leave_the_scoring_to_lmms_eval(mini_data: Path, manager: Manager) -> None:
    mine = f"{INCLUDING}task: scored_by_lmms_eval\ndataset_path: mini\nprocess_results: null\n"
    metrics = "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    results = simple_evaluate(
        model=Backend(), tasks=["scored_by_lmms_eval"], limit=2, task_manager=manager(mine + metrics), bootstrap_iters=0
    )
    assert results["results"]["scored_by_lmms_eval"]["exact_match,none"] == 0.0


def test_a_function_that_is_not_there_is_the_users_mistake(manager: Manager) -> None:
    mine = f"{INCLUDING}task: misspelt\ndataset_path: mini\nprocess_results: !function finer_tasks.tasks.hooks.score_fien\n"
    with pytest.raises(TaskError, match=r"task misspelt in .*score_fien"):
        manager(mine).match_tasks(["misspelt"])


def test_unprepared_data_of_users_tasks_are_noticed_before_a_model_is_loaded(manager: Manager) -> None:
    mine = f"{INCLUDING}task: my_birds\ndataset_path: cub\n"
    group = "group: my_group\ntask: [{task: my_birds, num_fewshot: 0}]\n"
    tagged = f"{INCLUDING}task: my_tagged\ndataset_path: cub\ntag: my_tag\n"
    tasks = manager(mine, group, tagged)
    for name in ("my_birds", "my_group", "my_tag"):
        with pytest.raises(NotPreparedError, match="finer prepare cub"):
            tasks.match_tasks([name])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            "{parent: gold}",
            "lmms_eval_specific_kwargs: level is None, but the functions of finer-tasks need one of superordinate",
        ),
        ("{level: fine, parent: golden}", "parent is 'golden', but the functions of finer-tasks need one of gold, predicted"),
        ("null", "level is None"),
    ],
)
def test_a_task_that_does_not_say_what_our_functions_need_is_explained(
    mini_data: Path, manager: Manager, kwargs: str, message: str
) -> None:
    mine = f"{INCLUDING}task: my_task\ndataset_path: mini\nlmms_eval_specific_kwargs: {kwargs}\n"
    with pytest.raises(TaskError, match=f"task my_task: .*{message}"):
        manager(mine).match_tasks(["my_task"])


def test_a_task_that_shows_images_by_a_function_of_its_own_is_no_perturbed_one(
    mini_data: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = f"{INCLUDING}task: mine\ndataset_path: mini\ndoc_to_visual: !function tests.tasks.theirs.doc_to_visual\n"
    tasks = manager(mine)
    assert tasks.match_tasks(["mine"]) == ["mine"]
    monkeypatch.setenv("FINER_PERTURB", "blur:1")
    assert tasks.match_tasks(["finer_mini_fine", "finer_mini_fine_text", "finer_mini_fine_attrseek"])
    with pytest.raises(
        TaskError, match="task mine: doc_to_visual is a function of your own, which FINER_PERTURB does not reach"
    ):
        tasks.match_tasks(["mine"])
