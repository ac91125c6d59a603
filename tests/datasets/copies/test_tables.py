"""Copies that the package `datasets` reads: parquet and save_to_disk, images inside or as paths, columns of any name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value

from finer_tasks.cli.main import main
from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import load_prepared
from tests import official

NAMES = ["n02110958-pug", "n02085620-Chihuahua"]  # an order that is not the official one


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def rows(tmp_path: Path, names: list[str], **columns: list[Any]) -> dict[str, list[Any]]:
    """Images with their bytes, called by `names`, beside other columns."""
    images = []
    for seed, name in enumerate(names):
        official.picture(tmp_path / "pictures" / name, seed)
        images.append({"bytes": (tmp_path / "pictures" / name).read_bytes(), "path": name})
    return {"image": images, **columns}


def parquet(folder: Path, **splits: Dataset) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, table in splits.items():
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def labelled(content: dict[str, list[Any]]) -> Dataset:
    return Dataset.from_dict(content, Features({"image": Image(), "label": ClassLabel(names=NAMES)}))


def prepare(folder: Path, *options: str) -> int:
    return main(["prepare", "dogs", "--from-dataset", str(folder), "--allow-partial", *options])


def ids() -> list[str]:
    return list(load_prepared("dogs").tables()["test"]["id"])


def classes() -> list[str]:
    return list(load_prepared("dogs").tables()["test"]["class_id"])


def test_images_inside_of_parquet_become_files_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = rows(tmp_path, ["n02110958_4.jpg", "n02085620_3.jpg"], label=[0, 1])
    folder = parquet(tmp_path / "repository", test=labelled(content), train=labelled(content))
    assert prepare(folder) == 0
    assert "columns: image=image,label=label (guessed; --columns says otherwise)" in capsys.readouterr().out
    prepared = load_prepared("dogs")
    table = list(prepared.tables()["test"])
    assert [(row["id"], row["class_id"]) for row in table] == [
        ("dogs/test/n02110958_4", "pug"), ("dogs/test/n02085620_3", "Chihuahua"),
    ]  # fmt: skip
    root = Path(prepared.manifest.root)
    assert [(root / row["image"]).read_bytes() for row in table] == [image["bytes"] for image in content["image"]]
    assert root.is_relative_to(tmp_path / "finer-data/copies/dogs")
    assert image_of(prepared, table[0]).size == (32, 24)


def test_a_second_preparation_writes_only_what_is_missing(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "repository", test=labelled(rows(tmp_path, ["n_1.jpg", "n_2.jpg"], label=[0, 1])))
    assert prepare(folder) == 0
    first = load_prepared("dogs").manifest
    written = sorted(Path(first.root).rglob("*.jpg"))
    times = [path.stat().st_mtime_ns for path in written]
    written[1].unlink()
    assert prepare(folder) == 0
    assert load_prepared("dogs").manifest.contents == first.contents
    assert written[0].stat().st_mtime_ns == times[0]
    assert written[1].is_file()


def test_save_to_disk_with_names_as_text_and_no_file_names(tmp_path: Path) -> None:
    content = rows(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], breed=["Pug", "chihuahua", "Pug"], note=["x", "y", "z"])
    content["image"] = [{"bytes": image["bytes"], "path": None} for image in content["image"]]
    text = Value("string")
    table = Dataset.from_dict(content, Features({"image": Image(), "breed": text, "note": text}))
    DatasetDict({"test": table}).save_to_disk(tmp_path / "saved")
    assert prepare(tmp_path / "saved") == 0
    assert ids() == ["dogs/test/000000", "dogs/test/000001", "dogs/test/000002"]
    assert classes() == ["pug", "Chihuahua", "pug"]


def test_images_as_paths_stay_where_they_are(tmp_path: Path) -> None:
    for seed, name in enumerate(("a/1.jpg", "b/2.jpg")):
        official.picture(tmp_path / "csv/pictures" / name, seed)
    official.write(tmp_path / "csv/test.csv", "file_path,race", "pictures/a/1.jpg,Pug", "pictures/b/2.jpg,Chihuahua")
    assert prepare(tmp_path / "csv", "--splits", "test") == 0
    manifest = load_prepared("dogs").manifest
    assert manifest.root == str(tmp_path / "csv/pictures")
    assert ids() == ["dogs/test/1", "dogs/test/2"]
    assert not (tmp_path / "finer-data/copies").exists()


def test_the_column_whose_values_are_the_classes_is_taken_and_others_on_demand(tmp_path: Path) -> None:
    text = Value("string")
    names = ["variant", "family", "manufacturer"]
    labels = {"variant": ["747-400", "A320"], "family": ["Boeing 747", "A320"], "manufacturer": ["Boeing", "Airbus"]}
    content = rows(tmp_path, ["0000001.jpg", "0000002.jpg"], **labels)
    folder = parquet(
        tmp_path / "planes", test=Dataset.from_dict(content, Features({"image": Image(), **dict.fromkeys(names, text)}))
    )
    command = ["prepare", "aircraft", "--from-dataset", str(folder), "--allow-partial"]
    assert main(command) == 0
    assert load_prepared("aircraft").tables()["test"]["class_id"] == ["747-400", "A320"]
    assert main([*command, "--columns", "label=family"]) == 0
    assert load_prepared("aircraft").tables()["test"]["class_id"] == ["A320"]
    assert "--columns label=family" in load_prepared("aircraft").command


def test_numbers_without_names_are_refused_with_the_option_that_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = rows(tmp_path, ["a.jpg", "b.jpg"], label=[1, 0])
    folder = parquet(
        tmp_path / "numbers", test=Dataset.from_dict(content, Features({"image": Image(), "label": Value("int64")}))
    )
    assert prepare(folder) == 2
    assert (
        "2 classes of the copy are numbers without a name, for example '1'. Give names with --class-names"
        in capsys.readouterr().err
    )
    assert prepare(folder, "--class-names", str(official.write(tmp_path / "names.txt", *NAMES))) == 0
    assert classes() == ["Chihuahua", "pug"]
    assert prepare(folder, "--class-names", str(official.write(tmp_path / "names.txt", NAMES[0]))) == 2
    assert "'1', for which --class-names has no name among its 1" in capsys.readouterr().err


def test_hidden_labels_and_rows_without_an_image_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = rows(tmp_path, ["a.jpg", "b.jpg"], label=[0, -1])
    assert prepare(parquet(tmp_path / "hidden", test=labelled(content))) == 2
    assert "test: column 'label' has images without a label" in capsys.readouterr().err
    both = parquet(tmp_path / "half", test=labelled(content), train=labelled(content | {"label": [0, 1]}))
    assert prepare(both, "--splits", "train") == 0
    assert prepare(both, "--columns", "label=image") == 2
    assert "--columns label=image: that column holds no text" in capsys.readouterr().err
    assert prepare(both, "--take", "train=train,test=train") == 2
    assert "--take: 'train' is taken twice" in capsys.readouterr().err
    content = rows(tmp_path, ["a.jpg"], label=[0]) | {"image": [None]}
    assert prepare(parquet(tmp_path / "empty", test=labelled(content))) == 2
    assert "row 0 of test: column 'image' holds no image" in capsys.readouterr().err


def test_images_partly_inside_of_a_table_and_partly_beside_it_are_all_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = rows(tmp_path, ["a.jpg", "b.jpg"], label=["pug", "Chihuahua"])
    content["image"][0]["bytes"] = None
    features = Features({"image": {"bytes": Value("binary"), "path": Value("string")}, "label": Value("string")})
    folder = parquet(tmp_path / "mixed", test=Dataset.from_dict(content, features))
    assert prepare(folder) == 2
    assert "row 0 of test: the image is not in the table, and" in (said := capsys.readouterr().err)
    assert "a.jpg cannot be read: No such file" in said
    shutil.copy(tmp_path / "pictures" / "a.jpg", folder)
    assert prepare(folder) == 0
    assert load_prepared("dogs").manifest.splits["test"]["missing"] == 0
    assert classes() == ["pug", "Chihuahua"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"copy.py": "import datasets\n"}, "it is a script, which would run code of others"),
        ({"README.md": "nothing\n"}, "cannot be read"),
        ({"test.csv": "picture,breed\na.jpg,Pug\n"}, "--columns image=nowhere: the test table has no such column"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        official.write(tmp_path / "copy" / name, *text.splitlines())
    assert prepare(tmp_path / "copy", *(["--columns", "image=nowhere"] if "test.csv" in files else [])) == 2
    *progress, error = capsys.readouterr().err.splitlines()
    assert said in error
    assert not any("finer" in line for line in progress)


def test_a_configuration_is_asked_for_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = rows(tmp_path, ["n_1.jpg"], label=[0])
    for name in ("a", "b"):
        (tmp_path / "repository" / name).mkdir(parents=True)
        labelled(content).to_parquet(tmp_path / "repository" / name / "test.parquet")
    configs = "".join(
        f"- config_name: {name}\n  data_files: [{{split: test, path: {name}/*.parquet}}]\n" for name in ("a", "b")
    )
    official.write(tmp_path / "repository/README.md", "---", "configs:", configs.rstrip(), "---")
    assert prepare(tmp_path / "repository") == 2
    assert "choose its configuration with --hub-config (Config name is missing." in capsys.readouterr().err
    assert prepare(tmp_path / "repository", "--hub-config", "b") == 0


def test_the_hub_out_of_reach_and_folders_given_as_repositories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("huggingface_hub.constants.HF_HUB_OFFLINE", "datasets.config.HF_HUB_OFFLINE"):
        monkeypatch.setattr(name, True)
    assert main(["prepare", "cub", "--from-hub", "nobody/cub-that-is-not-cached"]) == 2
    assert "HF_HUB_OFFLINE is set, and no copy is in the cache. Download it" in capsys.readouterr().err
    assert main(["prepare", "cub", "--from-hub", str(tmp_path)]) == 2
    assert f"this is a folder here. Read it with --from-dataset {tmp_path}" in capsys.readouterr().err


def test_a_repository_in_the_cache_is_read_without_a_network_and_its_commit_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    content = rows(tmp_path, ["n_1.jpg", "n_2.jpg"], label=[1, 0])
    folder = parquet(tmp_path / "my_dogs", test=labelled(content))
    assert prepare(folder) == 0  # fills the cache of `datasets` as a download does, under the folder's name
    cached = next((tmp_path / "cache/my_dogs/default/0.0.0").glob("*/dataset_info.json")).parent
    shutil.copytree(cached, tmp_path / "cache/nobody___my_dogs/default/0.0.0" / commit)
    for name in ("huggingface_hub.constants.HF_HUB_OFFLINE", "datasets.config.HF_HUB_OFFLINE"):
        monkeypatch.setattr(name, True)
    assert main(["prepare", "dogs", "--from-hub", "nobody/my_dogs", "--allow-partial"]) == 0
    manifest = load_prepared("dogs").manifest
    assert manifest.source == f"Stanford Dogs, from the Hub's nobody/my_dogs@{commit}"
    assert classes() == ["Chihuahua", "pug"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--take", "test=val"], "--take goes with --from-hub, --from-dataset or --from-imagefolder"),
        (["--from-hub", ""], "--from-hub: the name is empty"),
        (["--hub-config", "x"], "--hub-config goes with --from-hub"),
        (["--from-dataset", "a", "--hub-revision", "x"], "--hub-revision goes with --from-hub"),
        (["--from-imagefolder", "a", "--hub-config", "x"], "--hub-config goes with --from-hub and --from-dataset"),
        (["--from-dataset", "a", "--from-hub", "b/c"], "give one of --from-hub, --from-dataset"),
        (["--from-dataset", "a", "--download"], "--from-dataset goes without --download"),
        (["--from-imagefolder", "a", "--columns", "label=x"], "--columns is of tables"),
        (["--from-dataset", "a", "--columns", "label"], "--columns label: write NAME=VALUE"),
        (["--from-dataset", "a", "--take", "val=test"], "our splits are train and test"),
    ],
)
def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
    assert main(["prepare", "cub", *options]) == 2
    assert said in capsys.readouterr().err
