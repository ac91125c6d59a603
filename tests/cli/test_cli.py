"""The finer command as a user types it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finer_tasks.cli.main import main, parse_arguments, parser_of_all_commands
from finer_tasks.tasks.table import list_tasks
from tests import official


def test_prepare_prints_a_table_and_tasks_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = official.cub(tmp_path / "CUB_200_2011")
    assert main(["prepare", "cub", "--root", str(root), "--allow-partial"]) == 0
    printed = capsys.readouterr().out
    assert "fingerprint" in printed
    assert "CUB-200-2011" in printed
    assert main(["tasks", "--json"]) == 0
    tasks = {task["name"]: task for task in json.loads(capsys.readouterr().out)}
    assert tasks["finer_cub_fine"]["data"] == "partial"
    assert tasks["finer_dogs_fine"]["data"] == "not prepared"
    assert tasks["finer_mini_fine"]["data"] == "built in"
    assert chosen(capsys, "--prepared", "--level", "fine", "--variant", "direct") == ["finer_cub_fine", "finer_mini_fine"]
    assert chosen(capsys, "--dataset", "dogs,cars", "--variant", "attributes") == [
        "finer_cars_attributes",
        "finer_dogs_attributes",
    ]
    assert chosen(capsys, "--dataset", "dogs", "--prepared") == []
    assert main(["tasks", "--variant", "direct", "--dataset", "mini"]) == 0
    assert "finer_mini_superordinate" in capsys.readouterr().out


def test_the_list_of_tasks_is_one_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 80
    assert "\\n" not in printed
    assert all(name in printed for name in ("parent_predicted", "finer_attrseek", "finer_inat", f"{len(list_tasks())} tasks"))
    assert main(["tasks", "--level", "finest"]) == 2
    assert "unknown level 'finest'; known are superordinate, coarse, fine" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["tasks", "--json", "--dataset", ""])
    assert "--dataset: names nothing" in capsys.readouterr().err


def test_filters_that_nothing_fits_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--level", "superordinate", "--variant", "attrseek"]) == 0
    assert "no task fits" in capsys.readouterr().out


def chosen(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert main(["tasks", "--json", *options]) == 0
    return [task["name"] for task in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "cub"], "give the folder of the dataset with --root"),
        (["prepare", "cub", "--root", "/nonexistent"], "is not a folder"),
        (["prepare", "cub", "--root", "/", "--splits", "dev"], "--splits dev"),
        (["prepare", "mini", "--root", "/"], "takes no --root"),
        (["prepare", "cub", "--root", "/", "--download"], "takes no --root"),
        (["prepare", "cars", "--download"], "car_devkit.tgz"),
        (["doctor", "cub"], "finer prepare cub --root FOLDER"),
        (["results", "/nonexistent"], "no *_results.json below it"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("finer: ")
    assert message in error
    assert "Traceback" not in error


def test_help_says_where_every_dataset_comes_from_and_under_which_terms() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finer_tasks.cli.main", "prepare", "--help"], capture_output=True, text=True, check=True
    )
    for needed in (
        "CUB_200_2011.tgz",
        "non-commercial",
        "dl.allaboutbirds.org",
        "cars_test_annos_withlabels.mat",
        "val.tar.gz",
    ):
        assert needed in done.stdout


def test_the_command_and_the_scorers_start_without_torch_or_lmms_eval() -> None:
    script = (
        "import sys, finer_tasks.cli.main, finer_tasks.replies, finer_tasks.scoring.classification, finer_tasks.scoring.strict;"
        "import finer_tasks.datasets.record; "
        "print([m for m in ('torch', 'lmms_eval', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_may_be_spelled_as_lmms_eval_does_and_lists_joined_or_repeated() -> None:
    gap = parse_arguments(["gap", "--model_args=pretrained=x_y", "--batch_size", "8", "--tasks", "a_b, c", "--tasks", "d"])
    assert (gap.model_args, gap.batch_size, gap.tasks) == ("pretrained=x_y", "8", ["a_b", "c", "d"])
    assert parse_arguments(["gap", "--batch-size", "8"]).batch_size == "8"
    report = parse_arguments(["report", "a_b", "--output", "c_d"])
    assert (report.run_folders, report.output) == ([Path("a_b")], Path("c_d"))
    sides = ["regress", "--baseline", "a", "--candidate", "b"]
    assert parse_arguments([*sides, "--allow", "x,y", "--allow", "z"]).allow == ["x", "y", "z"]
    assert parse_arguments(sides).allow == []


def test_a_gap_over_no_documents_is_refused_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["gap", "--model", "finer_hf", "--limit", "0"])
    assert "--limit: '0' is no whole number from 1 on" in capsys.readouterr().err


def test_every_command_spells_its_options_alike() -> None:
    """Words joined by dashes; what is made goes to --output, required unless it can be tried dry; runs are positional."""
    commands = list(commands_of(parser_of_all_commands()))
    assert sum(len(command._actions) for command in commands) > 60
    for command in commands:
        can_be_tried = any(action.dest == "dry_run" for action in command._actions)
        for action in command._actions:
            assert not any("_" in option for option in action.option_strings)
            if action.dest == "output":
                assert (action.option_strings, action.required) == (["--output"], not can_be_tried)
                assert action.metavar in ("FILE", "DIR")
            if action.metavar == "RUN":
                assert action.option_strings == []


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from commands_of(command)
