"""Hard negatives: found by real models in the real format, written, read, and refused where they do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertModel

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.options.choosing import described, kinds_of, options_of
from finer_tasks.options.negatives import read_negatives
from finer_tasks.options.settings import ChoicesError, Setting, parse
from tests import official
from tests.tiny_bert import tiny_bert
from tests.tiny_clip import tiny_clip


@pytest.fixture(scope="module")
def by_image(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("negatives")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        command = ["negatives", "mini", "--model", tiny_clip(folder / "clip"), "--output", str(folder / "mini.json")]
        assert main([*command, "--batch-size", "64"]) == 0
    return folder / "mini.json"


def test_by_image_every_document_has_the_most_alike_wrong_names(by_image: Path, mini_data: Path) -> None:
    file = read_negatives(by_image)
    docs = list(load_prepared("mini").tables()["test"])
    assert file.contents.by == "image"
    assert file.contents.weights
    assert set(file.contents.nearest["fine"]) == {doc["id"] for doc in docs}
    for doc in docs[::40]:
        nearest = file.of("fine", doc["id"], doc["concept_id"])
        assert doc["concept_id"] not in nearest
        assert len(nearest) == len(set(nearest)) == 16
        for name in ("embedding", "foci", "tara"):
            options = options_of(doc, "fine", Setting(name, by_image.parent))  # the folder serves every dataset
            assert {key for key in options.keys if key != doc["concept_id"]} == set(nearest[:3])
            assert options.keys[options.right] == doc["concept_id"]
    lists = {file.of("fine", doc["id"], doc["concept_id"]) for doc in docs}
    assert len(lists) > 64  # by document, not by concept


def test_results_tell_the_negatives_by_content(by_image: Path, mini_data: Path) -> None:
    told = described(Setting("foci", by_image), load_prepared("mini"), "fine")
    assert told["name"] == "foci"
    assert told["negatives"] == read_negatives(by_image).fingerprint
    assert told["model"] == read_negatives(by_image).contents.model
    assert str(by_image.parent / "mini.json") not in json.dumps(told)


def test_by_name_every_concept_has_its_nearest(tmp_path: Path, mini_data: Path) -> None:
    config = tiny_bert(tmp_path / "bert")
    BertModel(config).save_pretrained(tmp_path / "bert")
    words = Transformer(str(tmp_path / "bert"))
    SentenceTransformer(modules=[words, Pooling(16)], device="cpu").save(str(tmp_path / "sentences"))
    output = tmp_path / "names.json"
    command = ["negatives", "mini", "--by", "name", "--model", str(tmp_path / "sentences"), "--keep", "5"]
    assert main([*command, "--output", str(output)]) == 0
    file = read_negatives(output)
    assert {len(nearest) for nearest in file.contents.nearest["coarse"].values()} == {5}
    assert described(parse(f"embedding:{output}"), load_prepared("mini"), "coarse")["negatives"] == file.fingerprint
    with pytest.raises(ChoicesError, match="--by image"):
        described(parse(f"foci:{output}"), load_prepared("mini"), "coarse")
    with pytest.raises(ChoicesError, match="finer negatives --keep"):
        described(parse(f"embedding:{output},options=8"), load_prepared("mini"), "coarse")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dataset": "cub"}, "holds the hard negatives of cub"),
        ({"data": "0000"}, "made for other data"),
        ({"nearest": {"fine": {}}}, "has no hard negatives for mini/test"),
        ({"nearest": {"coarse": {}}}, "not of mini fine"),
        ({"nearest": {"fine": {"mini/test/x": ["dodo"]}}}, "'dodo' is no concept"),
        ({"kind": "other"}, "no file of hard negatives"),
        ({"by": "sound"}, "no file of hard negatives"),
        ({"schema": 2}, "no file of hard negatives"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    by_image: Path, mini_data: Path, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(json.loads(by_image.read_text()) | change))
    with pytest.raises(ChoicesError, match=told):
        described(Setting("embedding", broken), load_prepared("mini"), "fine")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_file_of_negatives_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ChoicesError, match="Make it again with `finer negatives`"):
        read_negatives(tmp_path / "x.json")
    with pytest.raises(ChoicesError, match="cannot be read"):
        read_negatives(tmp_path / "absent.json")


def test_models_without_features_of_both_are_refused(
    tmp_path: Path, mini_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_bert(tmp_path / "bert")
    BertModel(config).save_pretrained(tmp_path / "bert")
    output = tmp_path / "x.json"
    for model in (str(tmp_path / "bert"), str(tmp_path / "nowhere")):
        assert main(["negatives", "mini", "--model", model, "--output", str(output)]) == 2
    told = capsys.readouterr().err
    assert "has no features of images and texts" in told
    assert "cannot be loaded by transformers" in told
    assert not output.exists()


def test_reading_a_file_loads_no_torch() -> None:
    code = "import sys, finer_tasks.options.choosing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


FOCI = {
    "F-16A/B": [
        {"image": "data/images/0000003.jpg", "options": ["F-16A/B", "A320", "747-400", "737-400"], "groundtruth": "F-16A/B"}
    ],
    "737-400": [
        {"image": "data/images/0000004.jpg", "options": ["737-400", "A320", "737-500", "737-300"], "groundtruth": "737-400"}
    ],
}


def from_foci(folder: Path, content: str) -> int:
    prepare(Request("aircraft", official.aircraft(folder / "aircraft"), ("test",), allow_partial=True))
    (folder / "list.json").write_text(content)
    return main(["negatives", "aircraft", "--from-foci", str(folder / "list.json"), "--output", str(folder / "aircraft.json")])


def test_the_options_that_foci_publishes_are_taken_as_they_are(tmp_path: Path) -> None:
    assert from_foci(tmp_path, json.dumps(FOCI)) == 0
    docs = {doc["class_id"]: doc for doc in load_prepared("aircraft").tables()["test"]}
    setting = parse(f"foci:{tmp_path}")
    for label, (asked,) in FOCI.items():
        options = options_of(docs[label], "fine", setting)
        shown = {kinds_of("aircraft", "fine")[key].example.fine for key in options.keys}
        assert all(any(name in names for names in shown) for name in asked["options"])
        assert len(options.names) == 4
    assert described(setting, load_prepared("aircraft"), "fine")["model"] == "list"
    with pytest.raises(ChoicesError, match="not of aircraft coarse"):
        described(setting, load_prepared("aircraft"), "coarse")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "no list of options of FOCI"),
        ("{", "no list of options of FOCI"),
        ('{"a": [{"image": 1}]}', "no list of options of FOCI"),
        (json.dumps({"F-16A/B": FOCI["F-16A/B"]}), "has no options for 1 of 2 test images"),
        (json.dumps(FOCI).replace("0000003", "0000009"), "is no test image of aircraft"),
        (json.dumps(FOCI).replace("A320", "Zeppelin"), "'Zeppelin' is no concept of aircraft"),
        (json.dumps(FOCI).replace('"groundtruth": "F-16A/B"', '"groundtruth": "A320"'), "shows 'A320' there"),
    ],
)
def test_a_list_of_foci_that_does_not_fit_is_refused(
    tmp_path: Path, content: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_foci(tmp_path, content) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "aircraft.json").exists()
