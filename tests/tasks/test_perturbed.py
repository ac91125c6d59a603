"""One setting perturbs what every task shows, and nothing mixes such a run with one on images as published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from finer_tasks.cli.main import main
from finer_tasks.datasets.images import published_image
from finer_tasks.datasets.perturb import PerturbationError
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ResultsError
from finer_tasks.gap.comparison import gaps
from finer_tasks.gate.gate import run_gate
from finer_tasks.gate.measured import measured
from finer_tasks.gate.policy import Policy
from finer_tasks.report.page import notes_of
from finer_tasks.runs.card import Card
from finer_tasks.runs.export import export
from finer_tasks.runs.reading import Run
from finer_tasks.runs.rescore import rescore
from finer_tasks.runs.thumbnails import thumbnail
from finer_tasks.submission.archive import SubmissionError
from finer_tasks.submission.pack import pack
from finer_tasks.tasks import hooks
from tests.e2e.evaluating import evaluate

SETTING = "occlusion:5"


def test_every_way_of_showing_an_image_shows_the_perturbed_one(mini_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc = load_prepared("mini").tables()["test"][0]
    kwargs = {"level": "fine", "parent": "gold"}

    def shown() -> list[Image.Image]:
        (content,) = [part["url"] for part in hooks.attrseek_messages(doc, kwargs)[0]["content"] if part["type"] == "image"]
        second = hooks.doc_to_text_predicted(doc, kwargs, ["Answer: Bird"], 1)
        return [*hooks.doc_to_visual(doc), content, *second[0]]

    plain = published_image(load_prepared("mini"), doc).tobytes()
    assert [image.tobytes() == plain for image in shown()] == [True] * 3
    monkeypatch.setenv("FINER_PERTURB", SETTING)
    assert [image.tobytes() == plain for image in shown()] == [False] * 3


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The direct and the text task on images as published and on hidden ones, with one folder for cached answers."""
    folder = tmp_path_factory.mktemp("perturbed")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        for name, setting in (("plain", ""), ("hidden", SETTING), ("again", "")):
            patch.setenv("FINER_PERTURB", setting)
            found[name] = evaluate(
                ["finer_mini_fine", "finer_mini_fine_text"], folder / name, limit=24, use_cache=str(folder / "cache")
            )
    return found


def answers(run: Run, task: int) -> list[str]:
    return [sample.answer for sample in run.tasks[task].samples]


def test_a_perturbed_run_has_answers_of_its_own_and_tells_what_was_done(made: dict[str, Run]) -> None:
    """Cached answers to the images as published are not met, and not replaced."""
    plain, hidden, again = made["plain"], made["hidden"], made["again"]
    assert [task.name for task in plain.tasks] == ["finer_mini_fine", "finer_mini_fine_text"]
    assert answers(plain, 0) != answers(hidden, 0)
    assert answers(plain, 1) == answers(hidden, 1)
    assert answers(plain, 0) == answers(again, 0)
    told = hidden.tasks[0].identity["perturbation"]
    assert (told["name"], told["severity"], told["of"]) == ("occlusion", 5, plain.tasks[0].identity["data_fingerprint"])
    assert "perturbation" not in plain.tasks[0].identity
    assert "images perturbed by occlusion of severity 5" in notes_of(hidden)[0]


def test_nothing_mixes_it_with_a_run_on_images_as_published(made: dict[str, Run], tmp_path: Path, mini_data: Path) -> None:
    plain, hidden = made["plain"], made["hidden"]
    with pytest.raises(ResultsError, match=r"data differs: .*occlusion:5"):
        run_gate(measured(plain), measured(hidden), Policy())
    assert run_gate(measured(hidden), measured(hidden), Policy(inconclusive="pass")).exit_code == 0
    arms = [replace(plain, tasks=plain.tasks[:1]), replace(hidden, tasks=hidden.tasks[1:])]
    with pytest.raises(ResultsError, match=r"data differs: .*occlusion:5"):
        gaps(arms)
    assert {arm.name for arm in gaps([hidden])[0].arms} == {"image", "text"}
    whole = replace(hidden, tasks=tuple(replace(task, of=0) for task in hidden.tasks))
    card = Card(name="m", revision="1", parameters=1, weights="open", contact="a@b.org")
    for form in ("model-index", "evalai"):
        with pytest.raises(ResultsError, match="images perturbed by occlusion of severity 5"):
            export(whole, card, form, tmp_path)
    with pytest.raises(SubmissionError, match=r"images perturbed by occlusion of severity 5.*as published"):
        pack([whole], card, tmp_path / "x.zip")


def test_it_is_scored_anew_and_shown_as_it_was_seen(made: dict[str, Run], mini_data: Path) -> None:
    hidden = made["hidden"]
    assert [s.items["em"] for s in rescore(hidden).tasks[0].samples] == [s.items["em"] for s in hidden.tasks[0].samples]
    document, identity = hidden.tasks[0].samples[0].record["id"], hidden.tasks[0].identity
    seen = thumbnail(document, identity)
    assert seen.startswith("data:image/jpeg")
    assert seen != thumbnail(document, made["plain"].tasks[0].identity)
    other = {"perturbation": identity["perturbation"] | {"boxes": "others"}}
    assert thumbnail(document, other) == ""


def test_an_unknown_setting_ends_before_a_model_is_loaded(
    mini_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FINER_PERTURB", "fog:2")
    with pytest.raises(PerturbationError, match=r"'fog:2' is no perturbation.*occlusion, crop, blur"):
        evaluate(["finer_mini_fine"], tmp_path, model_args="pretrained=nothing-here")


@pytest.mark.parametrize(
    "command",
    [
        ["mixture", "build", "mini-finer", "--output", "m"],
        ["train", "mini-lora", "mixture=m", "output=o"],
        ["reproduce", "mini", "--output", "r"],
        ["ablate", "projectors", "ablate-mini-fast", "--output", "a"],
    ],
)
def test_training_takes_images_as_published(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINER_PERTURB", SETTING)
    assert main(command) == 2
    assert "needs images as they are published" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
