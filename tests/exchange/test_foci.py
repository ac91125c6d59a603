"""Result files of FOCI, as its benchmark/evaluate.py writes them for images and options of its benchmark/data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.exchange.asking import ExchangeError
from finer_tasks.exchange.foci import DATASETS, import_foci, read_foci
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.rescore import rescore
from tests import official

# Of the options of images in data/oxford_pet-ViT-L-14-laion2b_s32b_b82k-4.json, the names and their form.
COON = ["Ragdoll", "Maine Coon", "Siamese", "Bengal"]
TERRIER = ["Boxer", "Havanese", "Sphynx", "Wheaten Terrier"]


def prediction(image: str, raw: str, correct: str, options: list[str]) -> dict[str, Any]:
    """parse_generated_prediction and the loop of main in benchmark/evaluate.py."""
    letter = next((one for one in "ABCD" if raw.lower().startswith(one.lower())), None)
    predicted = options["ABCD".index(letter)] if letter else f"NA ### {raw}"
    return {"image": image, "predicted": predicted, "predicted_raw": raw, "correct": correct, "options": options}


def written(path: Path, *predictions: dict[str, Any], **config: Any) -> Path:
    right = sum(one["predicted"] == one["correct"] for one in predictions) / len(predictions)
    told = {"dataset": "oxford_pet", "model": "llava-hf/llava-1.5-7b-hf", "task": "mc", "max_examples": 9999} | config
    metrics = {"generation_failures": 0.0, "accuracy": right}
    path.write_text(json.dumps({"metrics": metrics, "predictions": list(predictions), "config": told}, indent=4))
    return path


@pytest.fixture
def pets(tmp_path: Path) -> None:
    prepare(Request("pets", official.pets(tmp_path / "pets"), allow_partial=True))


@pytest.fixture
def result(pets: None, tmp_path: Path) -> Path:
    return written(
        tmp_path / "oxford_pet--llava.json",
        prediction("images/wheaten_terrier_13.jpg", "I do not know", "Wheaten Terrier", TERRIER),
        prediction("images/Maine_Coon_8.jpg", "B", "Maine Coon", COON),
    )


def test_choices_become_a_run_of_the_multiple_choice_task(result: Path, tmp_path: Path) -> None:
    import_foci(result, tmp_path / "run")
    run = read_run(tmp_path / "run")
    (task,) = run.tasks
    assert task.name == "finer_pets_fine_mc"
    assert {sample.record["id"].rsplit("/", 1)[1]: sample.score("mc") for sample in task.samples} == {
        "Maine_Coon_8": 1.0,
        "wheaten_terrier_13": 0.0,
    }
    raw = json.loads(run.path.read_text())
    assert raw["results"][task.name]["mc_foci_rule,none"] == json.loads(result.read_text())["metrics"]["accuracy"]
    assert raw["config"]["model"] == "llava-hf/llava-1.5-7b-hf"
    assert task.identity["imported"]["from"] == "foci"
    assert task.identity["prompt_set"] == "not stated"
    assert task.identity["choices"] == {"name": "foci", "options": 4, "file": "not stated"}


def test_a_reply_is_read_as_foci_reads_it_whatever_stands_before_the_letter(pets: None, tmp_path: Path) -> None:
    result = written(
        tmp_path / "foci.json",
        prediction("images/wheaten_terrier_13.jpg", "Answer: D", "Wheaten Terrier", TERRIER),
        prediction("images/Maine_Coon_8.jpg", "B", "Maine Coon", COON),
    )
    import_foci(result, tmp_path / "run")
    run = read_run(tmp_path / "run")
    for one in (run, rescore(run)):
        assert one.tasks[0].scores("mc_foci_rule").mean() == json.loads(result.read_text())["metrics"]["accuracy"] == 1 / 2
        assert one.tasks[0].scores("mc").mean() == 1


def changed(how: Callable[[dict[str, Any]], object]) -> Callable[[Path], Path]:
    def change(path: Path) -> Path:
        raw = json.loads(path.read_text())
        how(raw)
        path.write_text(json.dumps(raw))
        return path

    return change


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "other image": (lambda raw: raw["predictions"][1].update(image="images/x.jpg"), r"json:2: the image 'images/x.jpg' is none"),
    "twice": (lambda raw: raw["predictions"][0].update(raw["predictions"][1]), "accuracy of 0.500000, its answers give 1.000000"),
    "unknown option": (lambda raw: raw["predictions"][0]["options"].__setitem__(0, "Lion"), r"json:1: the option 'Lion' names no"),
    "not offered": (
        lambda raw: raw["predictions"][0]["options"].__setitem__(3, "Pug"),
        r"json:1: the right answer 'Wheaten Terrier' is not offered",
    ),
    "of another image": (lambda raw: raw["predictions"][0].update(correct="Boxer"), r"or not what pets/test/wheaten_terrier_13"),
    "incomplete": (lambda raw: (raw["predictions"].pop(0), raw["metrics"].update(accuracy=1)), "lacks 1 of 2 test images of pets"),
    "another task": (lambda raw: raw["config"].update(task="yn"), "FOCI's task 'yn'"),
    "another dataset": (lambda raw: raw["config"].update(dataset="geode"), "FOCI's dataset 'geode'"),
    "no predictions": (lambda raw: raw.pop("predictions"), "is no result file of FOCI .predictions: Field required"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_named(name: str, result: Path, tmp_path: Path) -> None:
    how, message = REFUSED[name]
    with pytest.raises(ExchangeError, match=message):
        import_foci(changed(how)(result), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_part_is_taken_where_it_is_allowed(result: Path, tmp_path: Path) -> None:
    name, _ = "incomplete", REFUSED["incomplete"]
    import_foci(changed(REFUSED[name][0])(result), tmp_path / "run", partial=True)
    assert read_run(tmp_path / "run").tasks[0].part.startswith("1 of 2 documents")


@pytest.mark.parametrize(("dataset", "name", "concept"), [
    ("aircraft", "747-400", "747_400"),
    ("cars", "McLaren MP4-12C Coupe 2012", "mclaren_mp4_12c_coupe_2012"),
    ("pets", "Staffordshire Bull Terrier", "staffordshire_bull_terrier"),
    ("flowers", "colt's foot", "colts_foot"),
    ("flowers", "air plant", "ball_moss"),
    ("food", "apple pie", "apple_pie"),
])  # fmt: skip
def test_names_of_foci_are_concepts(dataset: str, name: str, concept: str) -> None:
    from finer_tasks.exchange.foci import _names
    from finer_tasks.text import normalize

    assert dataset in DATASETS.values()
    assert _names(dataset)[normalize(name)] == concept


def test_the_command_takes_model_and_task_from_the_file(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(result), "--form", "foci", "--output", str(tmp_path / "run")]) == 0
    assert "imported from foci (oxford_pet--llava.json), settings not stated" in capsys.readouterr().out
    assert read_foci(result).config.model == "llava-hf/llava-1.5-7b-hf"
    assert main(["import", str(result), "--form", "vlmevalkit", "--output", str(tmp_path / "x")]) == 2
    assert "--form vlmevalkit needs --task and --model" in capsys.readouterr().err
