"""`finer dataset init` and `update`, and what `finer prepare` and `finer doctor` say of what they make."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from finer_tasks.cli.main import main
from finer_tasks.datasets.places import own_folder
from finer_tasks.datasets.prepared import forget_loaded, load_prepared
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.scoring.judge import lexicon
from finer_tasks.scoring.strict import score_strict
from tests import official, own

Capture = pytest.CaptureFixture[str]


def rows(name: str = "fungi") -> list[dict[str, str]]:
    with (own_folder(name) / "images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def taxonomy(name: str = "fungi") -> Path:
    return own_folder(name) / "taxonomy.yaml"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_folder_of_class_folders_becomes_a_dataset(tmp_path: Path, capsys: Capture) -> None:
    assert own.init(own.photos(tmp_path / "photos")) == 0
    assert "4 classes, 8 train images, 8 test images" in capsys.readouterr().out
    assert main(["prepare", "fungi"]) == 0
    assert main(["doctor", "fungi"]) == 0
    assert "fungi is in order" in capsys.readouterr().out
    assert {concept.coarse for concept in load_prepared("fungi").concepts()} == {("Bolete",), ("Amanita",)}
    assert {row["class_id"] for row in load_prepared("fungi").tables()["test"]} == set(sum(own.CLASSES.values(), ()))
    assert main(["tasks", "--dataset", "fungi"]) == 0
    assert "finer_fungi_fine_parent_predicted" in capsys.readouterr().out


def test_what_only_the_user_knows_is_asked_for_place_by_place(tmp_path: Path, capsys: Capture) -> None:
    assert main(["dataset", "init", "fungi", "--images", str(own.photos(tmp_path / "photos"))]) == 0
    assert "5 places marked" in capsys.readouterr().out
    line = next(n for n, text in enumerate(taxonomy().read_text().splitlines(), 1) if text.startswith("noun:"))
    for _ in range(4):
        assert main(["prepare", "fungi"]) == 2
        assert f"taxonomy.yaml:{line}: FILL_IN" in capsys.readouterr().err
        lines = taxonomy().read_text().splitlines()
        lines[line - 1] = lines[line - 1].replace("FILL_IN", "Fungus")
        taxonomy().write_text("\n".join(lines))
        line = next((n for n, text in enumerate(lines, 1) if "FILL_IN" in text and text[0] != "#"), 0)
    assert main(["tasks"]) == 0
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("noun: fungus\n", "", "taxonomy.yaml:1: noun: the key is missing"),
        ("noun: fungus", "noun: fungus\nnuon: x", r"taxonomy.yaml:\d+: nuon: no such key is known"),
        ("fine_term: species", "fine_term: 7", r"taxonomy.yaml:\d+: fine_term: .*string. Put it in quotes"),
        ("[Fungus, Bird", "[Plant, Bird", r"taxonomy.yaml:\d+: 'Fungus' is not among superordinate_choices"),
        ("      Death Cap:", "      Death Cap: [747]", r"taxonomy.yaml:\d+: groups.0.classes.Death Cap.fine.0: .* Put it in quotes"),
        ("      Death Cap:", "      747:", r"taxonomy.yaml:\d+: groups.0.classes.747: .* Put it in quotes"),
        ("      Death Cap:", "      Fly Agaric:", r"taxonomy.yaml:\d+: key 'Fly Agaric' is given twice"),
        ("      Death Cap:", "      Death Cap: [Penny Bun]", r"taxonomy.yaml:\d+: 'Penny Bun' is a concept of the group 'Amanita'"),
        ("      Death Cap:", "      Death Cap: [Fly-agaric]", r"taxonomy.yaml:\d+: 'Fly Agaric' and 'Fly-agaric' differ in nothing"),
        ("      Death Cap:", "      Death Cap: {aliases: [fly-agaric]}", r"taxonomy.yaml:\d+: 'fly-agaric' counts as right for 'Death Cap' and is"),
        ("      Death Cap:", "      Death Cap: [Death Cap, Penny Bun]", r"taxonomy.yaml:\d+: 'Penny Bun' counts as right for 'Death Cap' and is"),
        ("      Death Cap:", "      Deathcap:", r"images.csv:\d+: class 'Death Cap' is none of the 4 of .*taxonomy.yaml"),
        ("      Death Cap:", "      Death Cap: {fine: []}", r"taxonomy.yaml:\d+: groups.0.classes.Death Cap.fine: "),
        ("coarse: [Amanita]", "coarse: []", r"taxonomy.yaml:\d+: groups.0.coarse: "),
        ("groups:", "dataset: birds\ngroups:", r"taxonomy.yaml:\d+: it is the taxonomy of birds"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_taxonomy_is_told_with_its_line(
    tmp_path: Path, capsys: Capture, old: str, new: str, message: str
) -> None:
    own.init(own.photos(tmp_path / "photos"))
    replace(taxonomy(), old, new)
    assert main(["prepare", "fungi"]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error


def test_a_list_of_any_form_gives_the_same_dataset(tmp_path: Path, capsys: Capture) -> None:
    own.photos(tmp_path / "photos")
    table = [("Bolete/Penny Bun/0.jpg", "Penny, Bun", "train"), ("Bolete/Penny Bun/1.jpg", "Penny, Bun", "test"),
             ("Amanita/Death Cap/0.jpg", 'Death "Cap"', "test")]  # fmt: skip
    quoted = [(image, '"' + name.replace('"', '""') + '"', split) for image, name, split in table]
    paths = [
        own.listed(tmp_path / "a.csv", "image,class,split", *(",".join(row) for row in quoted), mark=True),
        own.listed(tmp_path / "b.csv", "Filename;Label;Set", *(";".join(row) for row in quoted), mark=True),
        own.listed(tmp_path / "c.tsv", "class\tsplit\timage", *("\t".join((n, s, i)) for i, n, s in quoted)),
        own.listed(
            tmp_path / "d.jsonl",
            "",
            *(f'{{"file_name": "{i}", "label": {json.dumps(n)}, "split": "{s}"}}' for i, n, s in table),
        ),
    ]
    for path in paths:
        assert own.init(tmp_path / "photos", "--list", str(path)) == 0
        assert [tuple(row.values()) for row in rows()] == table
        shutil.rmtree(own_folder("fungi"))
    assert "columns of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "lines", "options", "message"),
    [
        ("a.csv", ["image,class", "x.jpg,A", "y.jpg"], (), r"a.csv:3: 1 cells, the header has 2"),
        ("a.csv", ["image,class", "x.jpg,"], (), r"a.csv:2: 'class' is empty"),
        ("a.csv", ["image,class", 'x.jpg,"A'], (), r"a.csv:\d: no valid CSV"),
        ("a.csv", ["image class", "x.jpg A"], (), r"a.csv:1: 'image class' is one column only"),
        ("a.csv", ["image,image,class", "x,y,z"], (), r"a.csv:1: two columns are called 'image'"),
        ("a.csv", ["image,kind", "x.jpg,A"], (), r"which column has the class\? Its columns are image, kind"),
        ("a.csv", ["image,class", "x.jpg,A"], ("--columns", "class=kind"), r"has no column 'kind'; its columns are image, class"),
        ("a.csv", ["image,class", "x.jpg,A"], ("--columns", "kind=class"), r"--columns kind=class: give one of image, class"),
        ("a.csv", ["image,class"], (), r"a.csv lists nothing"),
        ("a.csv", ["image,class", "../x.jpg,A"], (), r"a.csv:2: '../x.jpg' is no path below"),
        ("a.csv", ["image,class", "{0},A", "{0},B"], (), r"a.csv:3: '.*' is listed at .*a.csv:2 already"),
        ("a.csv", ["image,class", "x.jpg,A"], (), r"a.csv:2: none of the 1 listed images is below"),
        ("a.csv", ["image,class,split", "{0},A,val"], (), r"a.csv:2: the split 'val' is neither .* --map-split val=train"),
        ("a.csv", ["image,class,split", "{0},A,test", "Bolete/Penny Bun/1.jpg,A,"], (), r"a.csv:3: the split '' .* --map-split =train"),
        ("a.csv", ["image,class,split", "{0},A,train"], (), r"no image is left for testing"),
        ("a.csv", ["image,class,split", "{0},A,val"], ("--map-split", "val=dev"), r"--map-split val=dev: give a name, =, and train or"),
        ("a.jsonl", ['{{"image": "x.jpg", "class": "A"}}', "{{"], (), r"a.jsonl:2: no valid JSON"),
        ("a.jsonl", ['{{"image": ["x.jpg"], "class": "A"}}'], (), r"a.jsonl:1: the value of 'image' must be text"),
        ("a.jsonl", ["[1]"], (), r"a.jsonl:1: expected an object"),
        ("b.csv", [], (), r"b.csv lists nothing"),
    ],
)  # fmt: skip
def test_a_bad_list_is_told_with_its_line_and_nothing_is_left(
    tmp_path: Path, capsys: Capture, name: str, lines: list[str], options: tuple[str, ...], message: str
) -> None:
    own.photos(tmp_path / "photos")
    path = official.write(tmp_path / name, *(line.format("Bolete/Penny Bun/0.jpg") for line in lines))
    assert own.init(tmp_path / "photos", "--list", str(path), *options) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert list(tmp_path.glob("finer-tasks/*")) == []


def test_a_class_in_two_groups_is_told_with_both_lines(tmp_path: Path, capsys: Capture) -> None:
    own.photos(tmp_path / "photos")
    rows = [f"Bolete/Penny Bun/{number}.jpg,A,{group}" for number, group in enumerate(("Boletus", "Boletus", "Suillus"))]
    path = official.write(tmp_path / "a.csv", "image,class,genus", *rows)
    assert own.init(tmp_path / "photos", "--list", str(path), "--columns", "coarse=genus") == 2
    assert re.search(r"a.csv:4: class 'A' has coarse 'Suillus', and 'Boletus' at .*a.csv:2", capsys.readouterr().err)


def test_text_that_is_no_utf8_is_told_with_its_line(tmp_path: Path, capsys: Capture) -> None:
    own.photos(tmp_path / "photos")
    (tmp_path / "a.csv").write_bytes("image,class\nx.jpg,Röhrling\n".encode("latin-1"))
    assert own.init(tmp_path / "photos", "--list", str(tmp_path / "a.csv")) == 2
    assert "a.csv:2: not UTF-8 text" in capsys.readouterr().err


def test_splits_of_other_names_are_mapped_or_left_out(tmp_path: Path) -> None:
    for split in ("train", "val", "holdout"):
        own.photos(tmp_path / "photos" / split, count=1)
    path = own.listed(
        tmp_path / "a.csv",
        "image,class,subset",
        *(f"{split}/Bolete/Penny Bun/0.jpg,A,{split}" for split in ("train", "val", "holdout")),
    )
    assert own.init(tmp_path / "photos", "--list", str(path), "--map-split", "val=test,holdout=none") == 0
    assert [(row["image"].split("/")[0], row["split"]) for row in rows()] == [("train", "train"), ("val", "test")]


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 50)):
        for name in ("Fly_Agaric", "17.Death_Cap"):
            official.picture(tmp_path / "photos" / split / name / "a.jpg", seed := seed + 1)
    assert own.init(tmp_path / "photos") == 0
    assert [(row["class"], row["split"]) for row in rows()] == [
        ("17.Death_Cap", "test"), ("Fly_Agaric", "test"), ("17.Death_Cap", "train"), ("Fly_Agaric", "train"),
    ]  # fmt: skip
    assert "17.Death_Cap: [Death Cap]" in taxonomy().read_text()
    assert "Fly_Agaric: [Fly Agaric]" in taxonomy().read_text()


def test_a_split_follows_from_its_seed_and_parts_no_copies_and_no_groups(tmp_path: Path) -> None:
    photos = own.photos(tmp_path / "photos", count=6)
    shutil.copy(photos / "Bolete/Penny Bun/0.jpg", photos / "Bolete/Penny Bun/copy.jpg")
    made = {}
    for name, seed in (("one", "0"), ("two", "0"), ("three", "1")):
        assert own.init(photos, "--seed", seed, name=name) == 0
        made[name] = {row["image"]: row["split"] for row in rows(name)}
    assert made["one"] == made["two"] != made["three"]
    for splits in made.values():
        assert splits["Bolete/Penny Bun/0.jpg"] == splits["Bolete/Penny Bun/copy.jpg"]
        for group, names in own.CLASSES.items():
            for name in names:
                counts = [split for image, split in splits.items() if image.startswith(f"{group}/{name}/")]
                assert 2 <= counts.count("test") <= 4
    path = own.listed(tmp_path / "a.csv", "image,class,plant", *(f"Bolete/Penny Bun/{n}.jpg,A,{n // 2}" for n in range(6)))
    assert own.init(photos, "--list", str(path), "--columns", "group=plant", name="grouped") == 0
    splits_of = [row["split"] for row in rows("grouped")]
    assert splits_of[::2] == splits_of[1::2]
    assert set(splits_of) == {"train", "test"}


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_with_few_images_is_tested_first(tmp_path: Path, count: int) -> None:
    assert own.init(own.photos(tmp_path / "photos", count), "--test-share", "0.1") == 0
    assert [row["split"] for row in rows()].count("test") == 4
    assert main(["prepare", "fungi"]) == 0
    assert set(load_prepared("fungi").manifest.splits) == ({"test"} if count == 1 else {"train", "test"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cub", "cub is a dataset that comes with this package"),
        ("fine", "finer_fine means something else"),
        ("parent", "finer_parent_none means something else"),
        ("text", "finer_text means something else"),
        ("my-fungi", "'my-fungi' cannot be the name"),
        ("my_fungi", "'my_fungi' cannot be the name"),
        ("Fungi", "'Fungi' cannot be the name"),
        ("../fungi", "'../fungi' cannot be the name"),
    ],
)
def test_names_that_make_tasks_ambiguous_are_refused(tmp_path: Path, capsys: Capture, name: str, message: str) -> None:
    assert own.init(own.photos(tmp_path / "photos", 1), name=name) == 2
    assert message in capsys.readouterr().err


def test_what_is_there_is_kept(tmp_path: Path, capsys: Capture) -> None:
    photos = own.photos(tmp_path / "photos")
    own.init(photos)
    before = {path: path.read_bytes() for path in own_folder("fungi").rglob("*") if path.is_file()}
    assert own.init(photos, "--seed", "7") == 2
    assert "finer dataset update fungi" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in own_folder("fungi").rglob("*") if path.is_file()} == before


def test_only_what_is_there_can_be_updated(tmp_path: Path, capsys: Capture) -> None:
    own.init(own.photos(tmp_path / "photos"))
    for name, message in (("moss", "are: fungi. Make one with `finer dataset init moss`"), ("mini", "comes with this package")):
        assert main(["dataset", "update", name]) == 2
        assert message in capsys.readouterr().err


def test_the_strict_scorer_knows_the_names_of_the_taxonomy(tmp_path: Path) -> None:
    own.init(own.photos(tmp_path / "photos"))
    replace(taxonomy(), "Fly Agaric:", "Fly Agaric: {aliases: [Amanita muscaria]}")
    concept = asdict(load_taxonomy("fungi").classes["Fly Agaric"])
    answers = {
        "Amanita muscaria": "right",
        "a Death Cap": "wrong_sibling",
        "Amanita": "too_general",
        "Penny Bun": "wrong_coarse",
    }
    for answer, reason in answers.items():
        assert score_strict(f"Answer: {answer}", concept, "fine", lexicon("fungi")).reason == reason


def test_a_taxonomy_that_is_given_has_all_classes(tmp_path: Path, capsys: Capture) -> None:
    photos = own.photos(tmp_path / "photos")
    own.init(photos)
    given = tmp_path / "mine.yaml"
    text = taxonomy().read_text().replace("Fly Agaric:", "Fly Agaric: {aliases: [Amanita muscaria]}")
    given.write_text(text)
    shutil.rmtree(own_folder("fungi"))
    init = ["dataset", "init", "fungi", "--images", str(photos)]
    assert main([*init, "--taxonomy", str(given)]) == 0
    assert taxonomy().read_text() == text
    assert "Amanita muscaria" in load_taxonomy("fungi").classes["Fly Agaric"].aliases
    shutil.rmtree(own_folder("fungi"))
    given.write_text(text.replace("Death Cap", "Deathcap"))
    assert main([*init, "--taxonomy", str(given)]) == 2
    assert "Amanita/Death Cap/0.jpg: class 'Death Cap' is none of the 4" in capsys.readouterr().err
    assert not own_folder("fungi").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "class=species"], "--columns is of a list"),
        (["--taxonomy", "mine.yaml"], "--noun is for a skeleton, and --taxonomy has its own"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(tmp_path: Path, capsys: Capture, options: list[str], message: str) -> None:
    assert own.init(own.photos(tmp_path / "photos"), *options) == 2
    assert message in capsys.readouterr().err
    assert not own_folder("fungi").exists()


def test_a_changed_list_is_counted_anew_before_it_is_prepared(tmp_path: Path, capsys: Capture) -> None:
    photos = own.photos(tmp_path / "photos")
    own.init(photos)
    replace(own_folder("fungi") / "dataset.yaml", "terms: not stated", "terms: mine  # a remark")
    main(["prepare", "fungi"])
    official.picture(photos / "Bolete/Penny Bun/new.jpg", 99)
    with (own_folder("fungi") / "images.csv").open("a") as file:
        file.write("Bolete/Penny Bun/new.jpg,Penny Bun,test\n")
    capsys.readouterr()
    forget_loaded()
    assert main(["doctor", "fungi"]) == 2
    assert "prepared with other labels or pictures than" in capsys.readouterr().err
    assert main(["prepare", "fungi"]) == 2
    assert "the lists name 9 images, the official dataset has 8" in (error := capsys.readouterr().err)
    assert "finer dataset update fungi" in error
    assert main(["dataset", "update", "fungi"]) == 0
    assert "8 train images, 9 test images; before: 4 classes, 8 train images, 8 test images" in capsys.readouterr().out
    assert "terms: mine  # a remark" in (own_folder("fungi") / "dataset.yaml").read_text()
    assert main(["prepare", "fungi"]) == 0
    assert main(["doctor", "fungi"]) == 0
    assert main(["dataset", "update", "fungi"]) == 0
    assert "as it was counted" in capsys.readouterr().out


def test_a_split_that_shrank_to_the_size_of_the_other_is_a_changed_list(tmp_path: Path, capsys: Capture) -> None:
    own.init(own.photos(tmp_path / "photos"), "--test-share", "0.25")
    train = [row for row in rows() if row["split"] == "train"]
    lines = (own_folder("fungi") / "images.csv").read_text().splitlines()
    left_out = {row["image"] for row in train[4:]}
    official.write(own_folder("fungi") / "images.csv", *(line for line in lines if line.split(",")[0] not in left_out))
    assert main(["prepare", "fungi"]) == 2
    assert "finer dataset update fungi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bolete/Penny Bun/0.jpg,Penny Bun,train", r"images.csv:\d+: 'Bolete/Penny Bun/0.jpg' is listed in line \d+ already"),
        ("x.jpg,Penny Bun,dev", r"images.csv:18: the split 'dev' is neither"),
        ("x.jpg,Penny Bun", r"images.csv:18: 2 cells, the header has 3 columns"),
        ("../x.jpg,Penny Bun,test", r"images.csv:18: '../x.jpg' is no path below"),
    ],
)
def test_a_bad_line_of_the_list_is_told(tmp_path: Path, capsys: Capture, line: str, message: str) -> None:
    own.init(own.photos(tmp_path / "photos"))
    with (own_folder("fungi") / "images.csv").open("a") as file:
        file.write(f"{line}\n")
    for words in (["prepare", "fungi"], ["dataset", "update", "fungi"]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert re.search(message, error), error


def test_missing_damaged_and_doubled_images_are_told(tmp_path: Path, capsys: Capture) -> None:
    photos = own.photos(tmp_path / "photos")
    own.init(photos)
    images = {row["split"]: row["image"] for row in rows()}
    (photos / images["test"]).unlink()
    assert main(["prepare", "fungi"]) == 2
    assert "1 of 8 image files are missing" in capsys.readouterr().err
    shutil.copy(photos / images["train"], photos / images["test"])
    other = next(row["image"] for row in rows() if row["image"] not in images.values())
    (photos / other).write_bytes((photos / other).read_bytes()[:-200])
    assert main(["prepare", "fungi"]) == 0
    assert main(["doctor", "fungi"]) == 2
    found = capsys.readouterr().out
    assert "1 images cannot be decoded" in found
    assert "1 pictures are in both splits under different names" in found


def test_the_folder_may_be_given_on_with_images_elsewhere(tmp_path: Path) -> None:
    photos = own.photos(tmp_path / "photos")
    own.init(photos)
    photos.rename(tmp_path / "moved")
    assert main(["prepare", "fungi"]) == 2
    assert main(["prepare", "fungi", "--root", str(tmp_path / "moved")]) == 0
    replace(own_folder("fungi") / "dataset.yaml", str(photos), os.path.relpath(tmp_path / "moved", own_folder("fungi")))
    assert main(["prepare", "fungi"]) == 0
    assert load_prepared("fungi").manifest.root == str(tmp_path / "moved")


def test_a_damaged_dataset_harms_no_other(tmp_path: Path, capsys: Capture) -> None:
    own.init(own.photos(tmp_path / "photos"))
    own.init(tmp_path / "photos", name="mushrooms")
    description = own_folder("mushrooms") / "dataset.yaml"
    whole = description.read_text()
    for text, message in (
        ("[", "dataset.yaml:1: not valid YAML"),
        (whole.replace("classes: 4", "classes: four"), "counted.classes"),
        (whole.replace("name: mushrooms", "name: shrooms"), "the name is 'shrooms', the folder's is 'mushrooms'"),
        ("", "expected keys with values"),
    ):
        description.write_text(text)
        assert main(["prepare", "fungi"]) == 0
        assert main(["tasks"]) == 0
        assert "damaged" in capsys.readouterr().out
        for words in (["prepare", "mushrooms"], ["doctor", "mushrooms"], ["dataset", "update", "mushrooms"]):
            assert main(words) == 2
            assert message in capsys.readouterr().err


def test_a_dataset_with_the_name_of_a_later_official_one_is_told(tmp_path: Path, capsys: Capture) -> None:
    own.init(own.photos(tmp_path / "photos"))
    own_folder("fungi").rename(own_folder("cub"))
    assert main(["prepare", "cub", "--root", str(tmp_path)]) == 2
    assert "has the name of a dataset that comes with this version" in capsys.readouterr().err
    assert main(["tasks"]) == 0


def test_names_in_any_script_are_concepts_of_their_own(tmp_path: Path) -> None:
    for seed, name in enumerate(("Белый гриб", "Мухомор 2", "松茸")):
        for number in range(2):
            official.picture(tmp_path / "photos" / name / f"{number}.jpg", 10 * seed + number)
    options = ["--noun", "гриб", "--coarse-term", "род", "--fine-term", "вид", "--superordinate", "Гриб"]
    assert main(["dataset", "init", "fungi", "--images", str(tmp_path / "photos"), *options]) == 0
    replace(taxonomy(), "coarse: [FILL_IN]", "coarse: [Boletus]")
    assert main(["prepare", "fungi"]) == 0
    ids = {concept.concept_id for concept in load_prepared("fungi").concepts()}
    assert ids == {"белый_гриб", "мухомор_2", "松茸"}


def test_skeletons_hold_names_that_yaml_would_take_for_something_else(tmp_path: Path) -> None:
    for seed, name in enumerate(("No", "747", "null", "a: b", "- c", "#d", "2024-01-01")):
        official.picture(tmp_path / "photos" / name / "0.jpg", seed)
    assert own.init(tmp_path / "photos") == 0
    replace(taxonomy(), "coarse: [FILL_IN]", "coarse: [Odd]")
    replace(taxonomy(), "'747': [FILL_IN]", "'747': ['747']")  # a number is no name, unless its user says so
    assert set(load_taxonomy("fungi").classes) == {"No", "747", "null", "a: b", "- c", "#d", "2024-01-01"}
    assert isinstance(yaml.safe_load(taxonomy().read_text()), dict)
