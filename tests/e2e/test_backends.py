"""Other backends of lmms-eval, real photographs, caches, and bad input, all through the real command."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.models.loading import BUILT_IN
from finer_tasks.replies import no_answer
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.summary import attribute_rows, rows, seek_rows
from tests import official
from tests.e2e.commands import finer, lmms_eval
from tests.e2e.server import chat_server

OUR_MODEL = ("--model", "finer_hf", "--model_args", "pretrained=finer-mini", "--batch_size", "8")


def say(text: str) -> str:
    """A model that knows that things are Birds, all birds Finches, and all finches Alder Finch."""
    if "categories" in text:
        return "Answer: Bird"
    return "Answer: Finch" if "Which kind" in text else "It is red. Answer: Alder Finch"


def openai(url: str, backend: str = "openai") -> tuple[str, ...]:
    return ("--model", backend, "--model_args", f"model_version=any,base_url={url},api_key=none")


@pytest.mark.parametrize("backend", ["openai", "async_openai"])
def test_an_openai_compatible_server(shared_data: Path, tmp_path: Path, backend: str) -> None:
    tasks = "finer_mini_fine,finer_mini_fine_parent_predicted"
    with chat_server(say) as server:
        done = lmms_eval(
            *openai(server.url, backend), "--tasks", tasks, "--limit", "12", "--log_samples", "--output_path", str(tmp_path),
            data=shared_data,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(tmp_path)
    made = {row.parent: row for row in rows(run)}
    assert made["gold"].em == pytest.approx(10 / 12)  # the first ten documents are Alder Finches
    assert made["predicted"].em == pytest.approx(10 / 12)
    predicted = next(task for task in run.tasks if task.identity["parent"] == "predicted")
    assert predicted.identity["rounds"] == "driver"
    assert len(server.seen) == 12 + 3 * 12
    assert all(size == (64, 64) for _, size in server.seen)
    assert any('"Finch"' in text for text, _ in server.seen)


def test_requests_that_fail_and_thoughts_that_do_not_end(shared_data: Path, tmp_path: Path) -> None:
    turns = itertools.cycle([None, 400, "<think>Surely an Alder Finch, as", "<think>A Heron?</think>", ""])

    def unsteady(text: str) -> str | int | None:
        turn = next(turns)
        return turn + say(text) if isinstance(turn, str) else turn

    tasks = ("finer_mini_fine", "finer_mini_fine_attrseek", "finer_mini_fine_parent_predicted")
    with chat_server(unsteady) as server:
        model = ("--model", "openai", "--model_args")
        arguments = f"model_version=any,base_url={server.url},api_key=none,max_retries=1,retry_backoff_s=0,num_concurrent=1"
        done = lmms_eval(
            *model, arguments, "--tasks", ",".join(tasks), "--limit", "10", "--log_samples", "--output_path", str(tmp_path),
            data=shared_data,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(tmp_path)
    direct = next(task for task in run.tasks if task.name == tasks[0])
    wrong = {"request_failed": 4, "unfinished_thought": 2}
    assert direct.unanswered == wrong
    assert {row.em for row in rows(run) if row.variant == "direct" and row.parent == "gold"} == {4 / 10}
    for task in run.tasks:
        for sample in task.samples:
            assert (sample.items["em"]["score"] == 1.0) is (sample.unanswered is None)
            told = no_answer(sample.outputs)
            assert sample.unanswered == told
    assert not any("think" in text or "LMMS_EVAL" in text or "NO_CONTENT" in text for text, _ in server.seen)
    results = json.loads(run.path.read_text())["results"][tasks[0]]
    assert (results["failed_requests,none"], results["unfinished_thoughts,none"]) == (4, 2)
    assert [row.em for row in rows(rescore(run))] == [row.em for row in rows(run)]
    printed = finer("results", str(tmp_path), data=shared_data).stdout
    assert f"{tasks[0]}: 4 of 10 failed requests, scored as wrong" in " ".join(printed.split())


ALL_VARIANTS = (
    *(f"finer_mini_fine_{v}" for v in ("attrseek", "attrseek1", "cot", "cot_fewshot", "text", "both", "parent_only")),
    "finer_mini_coarse_attrseek",
    "finer_mini_attributes",
    "finer_mini_attributes_text",
    "finer_mini_fine",
)


def say_more(text: str) -> str:
    """As `say`, and it lists attributes when asked for them."""
    if "two lists" in text:
        return "Required:\n- red body\n- no crest\nLikely:\n- none"
    if "Given these attributes" not in text and "list its visible" in text.replace("\n", " ") and "Answer:" not in text:
        return "- red body\n- no crest"
    return say(text)


def test_all_variants_on_an_openai_compatible_server(shared_data: Path, tmp_path: Path) -> None:
    with chat_server(say_more) as server:
        done = lmms_eval(
            *openai(server.url), "--tasks", ",".join(ALL_VARIANTS), "--limit", "10", "--log_samples", "--output_path", str(tmp_path),
            data=shared_data,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(tmp_path)
    by_variant = {row.variant: row for row in rows(run) if row.level == "fine"}
    assert {v for v, row in by_variant.items() if row.em == 1.0} >= {"attrseek", "attrseek1", "cot", "text", "both", "direct"}
    (seek, _) = sorted(seek_rows(run), key=lambda row: "fine" not in row.task)
    assert (seek.documents, seek.empty, seek.endless, seek.named, seek.rounds) == (10, 0, 0, 0, "driver")
    lists = {row.variant: row for row in attribute_rows(run)}
    assert lists["attributes"].scores["attr_recall_required"] == 1.0
    assert lists["attributes"].scores["attr_discriminability"] == 1.0
    assert lists["attributes_text"].scores["attr_precision"] == 1.0
    sizes = {("image" if size else "none") for text, size in server.seen if "has these attributes" in text}
    assert sizes == {"none", "image"} or sizes == {"none"}
    second = [text for text, _ in server.seen if "Given these attributes" in text]
    assert len(second) == 20
    assert all("- red body" in text for text in second)
    shown = finer("gap", str(tmp_path), "--plots", str(tmp_path / "plots"), data=shared_data)
    assert shown.returncode == 0, shown.stderr
    assert "named from text, not from image" in shown.stdout
    assert (tmp_path / "plots" / "gap-mini-fine.png").exists()


def test_all_variants_on_finer_hf(shared_data: Path, tmp_path: Path) -> None:
    done = lmms_eval(
        *OUR_MODEL,
        "--tasks",
        ",".join(ALL_VARIANTS),
        "--limit",
        "32",
        "--log_samples",
        "--output_path",
        str(tmp_path),
        data=shared_data,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = read_run(tmp_path)
    by_variant = {row.variant: row for row in rows(run) if row.level == "fine"}
    for variant in ("text", "both", "attrseek", "cot", "direct"):
        assert by_variant[variant].em >= 0.5, variant
    assert by_variant["parent_only"].em <= 0.5
    (seek, *_) = [row for row in seek_rows(run) if "fine" in row.task]
    assert seek.rounds == "multi_round"
    lists = {row.variant: row for row in attribute_rows(run)}
    assert lists["attributes_text"].unparsed == 0
    assert lists["attributes_text"].scores["attr_f1"] >= 0.8


def test_one_command_evaluates_the_arms_and_reports(shared_data: Path) -> None:
    done = finer(
        "gap", "--model", "finer_hf", "--model_args", "pretrained=finer-mini", "--tasks", "finer_mini_fine", "--batch_size", "32",
        "--limit", "64", "--json", data=shared_data,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (gap,) = json.loads(done.stdout)
    assert [arm["name"] for arm in gap["arms"]] == ["image", "text", "both", "attrseek", "parent_only"]
    assert gap["documents"] == 64


def test_attributes_must_be_there_for_the_tasks_that_tell_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    prepare(Request("cub", official.cub(tmp_path / "cub"), allow_partial=True))
    done = lmms_eval(*OUR_MODEL, "--tasks", "finer_cub_fine_text", data=tmp_path / "data")
    assert done.returncode == 2
    assert "finer attributes import cub" in done.stderr


def test_lmms_evals_own_wrapper_answers_as_ours(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("decord", reason="lmms-eval's llava_hf imports decord")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    common = ("--tasks", "finer_mini_coarse", "--limit", "16", "--log_samples", "--output_path")
    arguments = f"pretrained={BUILT_IN['finer-mini']},device=cpu,device_map=cpu,dtype=float32"
    done = lmms_eval(
        "--model", "llava_hf", "--model_args", arguments, "--batch_size", "1", *common, str(theirs), data=shared_data
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert lmms_eval(*OUR_MODEL, *common, str(ours), data=shared_data).returncode == 0
    (their_row,), (our_row,) = rows(read_run(theirs)), rows(read_run(ours))
    assert their_row == our_row
    assert our_row.em >= 0.9


def test_real_photographs_of_cub_with_the_complete_official_lists(real: Path, tmp_path: Path) -> None:
    root = tmp_path / "CUB_200_2011"
    shutil.copytree(real / "cub", root)
    shutil.copytree(real / "photos/cub_real", root / "images")
    refused = finer("prepare", "cub", "--root", str(root), data=tmp_path / "data")
    assert refused.returncode == 2
    assert "--allow-partial" in refused.stderr
    prepared = finer("prepare", "cub", "--root", str(root), "--allow-partial", data=tmp_path / "data")
    assert prepared.returncode == 0, prepared.stderr
    imported = finer("attributes", "import", "cub", str(root), data=tmp_path / "data")
    assert imported.returncode == 0, imported.stderr
    tasks = ["finer_cub_fine", "finer_cub_fine_text", "finer_cub_fine_attrseek", "finer_cub_attributes"]
    ours = lmms_eval(
        *OUR_MODEL, "--tasks", ",".join(tasks), "--log_samples", "--output_path", str(tmp_path / "ours"),
        data=tmp_path / "data",
    )  # fmt: skip
    assert ours.returncode == 0, ours.stderr[-3000:]
    run = read_run(tmp_path / "ours")
    assert {(row.documents, row.corrupt_images, row.partial) for row in rows(run)} == {(6, 0, True)}
    assert {task.name: len(task.samples) for task in run.tasks} == dict.fromkeys(tasks, 6)
    (seek,) = [task for task in run.tasks if task.name.endswith("attrseek")]
    assert all(len(sample.items["em_strict"]["rounds"]) == 2 for sample in seek.samples)
    with chat_server(lambda text: f"Answer: {re.search(chr(34) + '(.*?)' + chr(34), text).group(1)}") as server:  # type: ignore[union-attr]
        served = lmms_eval(
            *openai(server.url), "--tasks", "finer_cub_fine,finer_cub_coarse", "--log_samples", "--output_path",
            str(tmp_path / "served"), data=tmp_path / "data",
        )  # fmt: skip
    assert served.returncode == 0, served.stderr[-3000:]
    by_level = {row.level: row for row in rows(read_run(tmp_path / "served"))}
    # It repeats the parent it is given: never specific enough for the strict scorer, nor right for the parity one
    # but where the group's name is the name of the bird as well.
    assert by_level["coarse"].reasons == {"too_general": 6}
    assert by_level["fine"].reasons["too_general"] >= 4
    assert min(size[0] for _, size in server.seen if size) > 100


def test_answers_are_cached_until_prompts_change(shared_data: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "mine.yaml"
    prompts.write_text('name: mine\ndirect: {superordinate: "a", coarse: "Which kind?", fine: "c"}\n')
    with chat_server(say) as server:
        command = (*openai(server.url), "--tasks", "finer_mini_coarse", "--limit", "4", "--use_cache", str(tmp_path / "cache"))
        counts = []
        for environment in ({}, {}, {"FINER_PROMPTS": str(prompts)}):
            assert lmms_eval(*command, data=shared_data, **environment).returncode == 0
            counts.append(len(server.seen))
    assert counts == [4, 4, 8]


def test_one_corrupt_image_does_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    root = official.cub(tmp_path / "cub")
    prepare(Request("cub", root, allow_partial=True))
    damaged = root / "images/017.Cardinal/d.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    done = lmms_eval(
        *OUR_MODEL, "--tasks", "finer_cub", "--log_samples", "--output_path", str(tmp_path / "out"), data=tmp_path / "data"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Scored as wrong" in done.stdout
    for row in rows(read_run(tmp_path / "out")):
        assert (row.documents, row.corrupt_images) == (2, 1)
        assert row.reasons["corrupt_image"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*OUR_MODEL, "--tasks", "finer_cub_fine"), "Run: finer prepare cub --root FOLDER"),
        (
            ("--model", "finer_hf", "--model_args", "pretrained=finer-mni", "--tasks", "finer_mini"),
            "pretrained=finer-mni cannot be loaded",
        ),
    ],
)
def test_mistakes_end_with_one_message_and_exit_code_2(shared_data: Path, arguments: tuple[str, ...], message: str) -> None:
    done = lmms_eval(*arguments, data=shared_data)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_from_python_with_wildcard_and_limit(shared_data: Path) -> None:
    script = """
import json
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
manager = TaskManager(model_name="finer_hf")
names = manager.match_tasks(["finer_mini_superordinate", "finer_mini_*_parent_none"])
results = simple_evaluate(model="finer_hf", model_args="pretrained=finer-mini", tasks=names, limit=4,
                          batch_size=8, task_manager=manager)
print("RESULT", json.dumps({name: results["results"][name]["em,none"] for name in names}))
"""
    from tests.e2e.commands import _run

    done = _run([sys.executable, "-c", script], shared_data, 300, {})
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    figures = json.loads(line.removeprefix("RESULT "))
    assert set(figures) == {f"finer_mini_{n}" for n in ("superordinate", "coarse_parent_none", "fine_parent_none")}
    assert figures["finer_mini_superordinate"] == 1.0


def test_a_wheel_brings_everything_and_claims_no_general_name(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    source = tmp_path / "source"
    shutil.copytree(root, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", "out"))
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    assert {path.name for path in target.iterdir() if not path.name.endswith(".dist-info")} == {"finer_tasks", "bin"}
    for name, folder in (("", "finer_tasks"), ("task_yamls", "task_yamls"), ("training", "training")):
        for path in (source / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (target / "finer_tasks" / name / path.relative_to(source / folder)).is_file(), path
    script = """
from lmms_eval.tasks import TaskManager
import finer_tasks, finer_tasks.training.tiny_llava.train
from finer_tasks.tasks.generate import task_folder
from finer_tasks.tasks.plugin import register
from finer_tasks.models.loading import BUILT_IN
register()
assert "finer_mini_fine" in TaskManager().all_tasks
print(finer_tasks.__file__, task_folder(), (BUILT_IN["finer-mini"] / "model.safetensors").is_file())
"""
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(target), "PATH": "", "HOME": str(tmp_path)},
                          capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    package, tasks, has_model = done.stdout.strip().splitlines()[-1].split()
    assert package.startswith(str(target))
    assert tasks.startswith(str(target))
    assert has_model == "True"
