"""The readers on small files in the official formats, and on the real metadata where it is at hand."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from finer_tasks.datasets.lines import read_lines, read_table
from finer_tasks.datasets.readers import aircraft, animals, cars, cub, dogs, flowers, food, inat, nabirds, pets, vegfru
from finer_tasks.errors import DatasetContentError, DatasetLayoutError, TaxonomyError
from tests import official


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cub_reads_ids_with_gaps_blank_lines_and_either_line_ending(tmp_path: Path, end: str) -> None:
    records = list(cub.read(cub.locate(official.cub(tmp_path / "CUB_200_2011", end).parent)))
    assert [(r.id, r.split, r.fine[0]) for r in records] == [
        ("cub/train/3", "train", "Black-footed Albatross"),
        ("cub/test/4", "test", "Black-footed Albatross"),
        ("cub/train/900", "train", "Northern Cardinal"),
        ("cub/test/901", "test", "Northern Cardinal"),
    ]
    assert records[0].coarse == ("Albatross",)
    assert "Black footed Albatross" in records[0].fine
    assert "Cardinal" in records[2].fine


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("images.txt", "3", r"images\.txt:1: expected '<id> <image path>'"),
        ("image_class_labels.txt", "3 55", r"label '55' is not among the 2 ids of classes\.txt"),
        ("train_test_split.txt", "3 2", r"'2' is neither 0 nor 1"),
        ("images.txt", "3 017.Cardinal/a.jpg", r"lies in '017\.Cardinal' but its label 1 is"),
        ("classes.txt", "1 001.Nonesuch", r"its label 1 is '001\.Nonesuch'"),
    ],
)
def test_cub_names_file_and_line_of_what_is_broken(tmp_path: Path, file: str, line: str, message: str) -> None:
    root = official.cub(tmp_path)
    lines = (root / file).read_text().splitlines()
    official.write(root / file, line, *lines[1:])
    with pytest.raises(DatasetContentError, match=message):
        list(cub.read(root))


def test_cub_reports_a_missing_line_and_a_repeated_id(tmp_path: Path) -> None:
    root = official.cub(tmp_path / "a")
    official.write(root / "train_test_split.txt", "3 1")
    with pytest.raises(DatasetContentError, match=r"train_test_split\.txt has no line for id '4'"):
        list(cub.read(root))
    root = official.cub(tmp_path / "b")
    official.write(root / "image_class_labels.txt", "3 1", "3 17")
    with pytest.raises(DatasetContentError, match=r"image_class_labels\.txt:2: id '3' appears twice"):
        list(cub.read(root))


def test_a_wrong_folder_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match=r"none of .*images\.txt.* exists\. Check --root"):
        cub.locate(tmp_path)
    with pytest.raises(DatasetLayoutError, match="is not a folder"):
        cub.locate(tmp_path / "nowhere")


@pytest.mark.parametrize("trainval", [True, False])
def test_aircraft_accepts_variant_and_family_and_joins_train_and_val(tmp_path: Path, trainval: bool) -> None:
    records = {r.id: r for r in aircraft.read(aircraft.locate(official.aircraft(tmp_path, trainval)))}
    assert set(records) == {f"aircraft/{s}" for s in ("train/0000001", "train/0000002", "test/0000003", "test/0000004")}
    assert records["aircraft/train/0000001"].fine == ("737-300", "Boeing 737")
    assert records["aircraft/train/0000001"].coarse == ("Boeing",)
    assert records["aircraft/test/0000003"].class_id == "F-16A/B"


def test_aircraft_refuses_lists_that_contradict_one_another(tmp_path: Path) -> None:
    root = aircraft.locate(official.aircraft(tmp_path))
    official.write(root / "images_manufacturer_test.txt", "0000003 Lockheed Martin", "0000004 Airbus")
    with pytest.raises(DatasetContentError, match=r"image 0000004 is '737-400' .* manufacturer 'Airbus'"):
        list(aircraft.read(root))


@pytest.mark.parametrize("text", [False, True])
def test_dogs_reads_mat_and_text_lists_and_splits_names_at_the_first_dash(tmp_path: Path, text: bool) -> None:
    records = list(dogs.read(dogs.locate(official.dogs(tmp_path, text))))
    assert [r.fine[0] for r in records] == ["Chihuahua", "Flat-coated Retriever"] * 2
    assert records[1].image == "Images/n02099267-flat-coated_retriever/n02099267_2.jpg"
    assert records[1].coarse[0] == "Retriever"


def test_dogs_refuses_an_unknown_breed_and_a_damaged_list(tmp_path: Path) -> None:
    root = official.dogs(tmp_path, text=True)
    official.write(root / "test_list.txt", "n1-griffin/n1_1.jpg")
    with pytest.raises(TaxonomyError, match="class 'griffin' is not in the taxonomy of dogs"):
        list(dogs.read(root, ("test",)))
    official.dogs(tmp_path / "mat")
    (tmp_path / "mat/lists/test_list.mat").write_bytes(b"no matlab file at all")
    with pytest.raises(DatasetContentError, match=r"test_list\.mat is not a readable MATLAB file"):
        list(dogs.read(tmp_path / "mat", ("test",)))


@pytest.mark.parametrize("doubled", [False, True])
def test_cars_keeps_the_splits_apart_though_both_use_the_same_file_names(tmp_path: Path, doubled: bool) -> None:
    root = cars.locate(official.cars(tmp_path / "stanford_cars", doubled).parent)
    records = list(cars.read(root))
    assert {r.id for r in records if r.split == "train"} == {f"cars/train/0000{i}" for i in (1, 2, 3)}
    assert all((root / r.image).is_file() and f"cars_{r.split}" in r.image for r in records)
    assert records[2].class_id == "Ram C/V Cargo Van Minivan 2012"
    assert records[2].coarse[0] == "Van"


def test_cars_reads_the_csv_layout(tmp_path: Path) -> None:
    root = cars.locate(official.cars_csv(tmp_path))
    records = list(cars.read(root))
    assert len(records) == 6
    assert all((root / r.image).is_file() for r in records)


def test_cars_explains_the_missing_labelled_test_list_and_a_class_out_of_range(tmp_path: Path) -> None:
    root = official.cars(tmp_path / "a")
    (root / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(DatasetLayoutError, match="separate download"):
        list(cars.read(root))
    assert len(list(cars.read(root, ("train",)))) == 3
    root = official.cars_csv(tmp_path / "b")
    official.write(root / "anno_test.csv", "00001.jpg,1,2,3,4,197")
    with pytest.raises(DatasetContentError, match=r"anno_test\.csv:1: class 197 is out of range 1…3"):
        list(cars.read(root, ("test",)))


def test_pets_reads_the_breed_from_the_name_of_the_image(tmp_path: Path) -> None:
    records = list(pets.read(pets.locate(official.pets(tmp_path / "oxford-iiit-pet").parent)))
    assert [(r.id, r.superordinate, r.coarse[0], r.fine[0]) for r in records] == [
        ("pets/train/Maine_Coon_7", "Cat", "Longhair cat", "Maine Coon"),
        ("pets/train/wheaten_terrier_12", "Dog", "Terrier", "Wheaten Terrier"),
        ("pets/test/Maine_Coon_8", "Cat", "Longhair cat", "Maine Coon"),
        ("pets/test/wheaten_terrier_13", "Dog", "Terrier", "Wheaten Terrier"),
    ]
    assert records[1].image == "images/wheaten_terrier_12.jpg"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Maine_Coon_8 18 1", r"test\.txt:1: expected '<breed>_<number> <class> <species> <breed>'"),
        ("Maine_Coon_8 18 2 9", r"test\.txt:1: species 2 of 'Maine_Coon_8', which is a Maine_Coon"),
        ("Maine_Coon_8 17 1 9", r"test\.txt:2: class 18 of 'Maine_Coon_9'; others of Maine_Coon have 17"),
        ("Maine_Coon_9 18 1 9", r"test\.txt:2: image 'Maine_Coon_9' appears twice"),
    ],
)
def test_pets_names_the_line_that_contradicts_itself_or_others(tmp_path: Path, line: str, message: str) -> None:
    root = official.pets(tmp_path)
    official.write(root / "annotations/test.txt", line, "Maine_Coon_9 18 1 9")
    with pytest.raises(DatasetContentError, match=message):
        list(pets.read(root, ("test",)))


def test_flowers_joins_the_two_lists_of_training_and_numbers_from_one(tmp_path: Path) -> None:
    root = official.flowers(tmp_path)
    records = list(flowers.read(flowers.locate(root)))
    assert [(r.id, r.class_id, r.fine[0], r.coarse[0]) for r in records] == [
        ("flowers/train/image_00003", "77", "Passion Flower", "Passifloraceae"),
        ("flowers/train/image_00002", "2", "Hard-leaved Pocket Orchid", "Orchid family"),
        ("flowers/test/image_00001", "77", "Passion Flower", "Passifloraceae"),
        ("flowers/test/image_00004", "2", "Hard-leaved Pocket Orchid", "Orchid family"),
    ]
    assert all((root / r.image).is_file() for r in records)


@pytest.mark.parametrize(
    ("file", "name", "values", "message"),
    [
        ("imagelabels.mat", "labels", [77, 103, 77, 2], r"imagelabels\.mat: labels holds 103, out of range 1…102"),
        ("setid.mat", "tstid", [1, 5], r"setid\.mat: tstid holds 5, out of range 1…4"),
        ("setid.mat", "tstid", [1, 3], r"setid\.mat: image 3 is in trnid and in tstid"),
    ],
)
def test_flowers_refuses_numbers_out_of_range_and_an_image_in_two_lists(
    tmp_path: Path, file: str, name: str, values: list[int], message: str
) -> None:
    root = official.flowers(tmp_path)
    content = {key: value for key, value in scipy.io.loadmat(root / file).items() if not key.startswith("_")}
    scipy.io.savemat(root / file, content | {name: np.array([values])})
    with pytest.raises(DatasetContentError, match=message):
        list(flowers.read(root, ("test",)))


def test_food_tells_images_of_one_number_apart_by_their_dish(tmp_path: Path) -> None:
    records = list(food.read(food.locate(official.food(tmp_path / "food-101").parent)))
    assert [(r.id, r.coarse[0], r.fine[0]) for r in records] == [
        ("food/train/apple_pie_7", "Pastry", "Apple Pie"),
        ("food/train/pho_7", "Noodle dish", "Pho"),
        ("food/test/apple_pie_8", "Pastry", "Apple Pie"),
        ("food/test/pho_8", "Noodle dish", "Pho"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pho/7", r"test\.txt:1: image 'pho/7' is in the train list as well"),
        ("pho", r"test\.txt:1: expected '<dish>/<image>'"),
    ],
)
def test_food_refuses_an_image_in_both_lists_and_a_line_without_image(tmp_path: Path, line: str, message: str) -> None:
    root = official.food(tmp_path)
    official.write(root / "meta/test.txt", line)
    with pytest.raises(DatasetContentError, match=message):
        list(food.read(root, ("test",)))


def test_nabirds_drops_the_suffix_and_checks_the_hierarchy(tmp_path: Path) -> None:
    root = official.nabirds(tmp_path)
    records = {r.id: r for r in nabirds.read(nabirds.locate(root))}
    male = records["nabirds/train/aa"]
    assert (male.class_id, male.fine[0], male.concept_id) == ("Blue-winged Teal (Male)", "Blue-winged Teal", "blue_winged_teal")
    assert male.coarse == ("Duck", "Ducks, Geese, and Swans")
    assert records["nabirds/train/cc"].class_id == "Swainson's Hawk (Dark morph)"
    assert records["nabirds/test/dd"].coarse == ("Warbler", "Wood-Warbler", "Wood-Warblers")
    hierarchy = (root / "hierarchy.txt").read_text().replace("30 22", "30 1").replace("701 30", "701 1")
    (root / "hierarchy.txt").write_text(hierarchy)
    with pytest.raises(DatasetContentError, match=r"class 701 \(Ovenbird\) is not below 'Wood-Warblers'"):
        list(nabirds.read(root))


def test_nabirds_finds_a_cycle_in_the_hierarchy(tmp_path: Path) -> None:
    root = official.nabirds(tmp_path)
    official.write(root / "hierarchy.txt", "295 31", "31 295")
    with pytest.raises(DatasetContentError, match="unknown or its own ancestor"):
        list(nabirds.read(root, ("test",)))


def test_inat_names_species_and_groups_by_rule(tmp_path: Path) -> None:
    root = inat.locate(official.inat(tmp_path))
    records = {r.class_id: r for r in inat.read(root, ("test",))}
    assert records["7"].fine == ("Mallard", "Anas platyrhynchos")
    assert records["7"].coarse == ("Duck", "Anatidae")
    assert records["0"].fine == ("Lumbricus terrestris",)
    assert records["0"].coarse == ("Worm", "Lumbricidae")
    assert records["9"].coarse == ("Ignotidae",)
    assert records["7"].id == "inat/test/121"
    assert inat.rule_coverage(root) == {"genus": 0, "family": 1, "order": 0, "class": 1, "none": 1}
    assert inat.official(root)["train"] == 500000
    assert inat.official(official.inat(tmp_path / "full", "train"))["train"] == 2686843


def test_inat_reports_broken_json_missing_annotations_and_missing_training_lists(tmp_path: Path) -> None:
    root = official.inat(tmp_path)
    text = (root / "val.json").read_text()
    (root / "val.json").write_text(text[: len(text) // 2])
    with pytest.raises(DatasetContentError, match=r"val\.json: not valid JSON"):
        list(inat.read(root, ("test",)))
    (root / "val.json").write_text(text.replace('"image_id": 121', '"image_id": 122'))
    with pytest.raises(DatasetContentError, match="image 121 has no annotation"):
        list(inat.read(root, ("test",)))
    (root / "train_mini.json").unlink()
    with pytest.raises(DatasetLayoutError, match="--splits test"):
        list(inat.read(root, ("train",)))


def test_real_cub_metadata(real: Path) -> None:
    records = list(cub.read(cub.locate(real / "cub")))
    assert Counter(r.split for r in records) == cub.READER.official
    assert len({r.class_id for r in records}) == 200
    assert len({r.id for r in records}) == 11788


def test_real_dogs_lists(real: Path) -> None:
    records = list(dogs.read(dogs.locate(real / "dogs")))
    assert Counter(r.split for r in records) == dogs.READER.official
    assert set(Counter(r.class_id for r in records if r.split == "train").values()) == {100}


def test_real_cars_devkit(real: Path) -> None:
    records = list(cars.read(cars.locate(real / "cars"), ("train",)))
    assert len(records) == cars.READER.official["train"]
    assert len({r.class_id for r in records}) == 196
    assert records[0].image == "cars_train/00001.jpg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 a.jpg\n2 caf\xe9.jpg\n", r"images\.txt:2: not text in UTF-8\. Save the file as UTF-8"),
        ("1 a.jpg\n".encode("utf-16"), r"images\.txt:1: not text in UTF-8"),
        (b"1 a.jpg\n2 \0.jpg\n", r"images\.txt:2: not text in UTF-8"),
        (b"1\ta.jpg\n", r"images\.txt:1: expected '<id> <image path>'"),
        (b"\n \n", r"images\.txt is empty"),
    ],
)
def test_files_that_are_no_text_are_refused_with_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    root = official.cub(tmp_path)
    (root / "images.txt").write_bytes(content)
    with pytest.raises(DatasetContentError, match=message):
        list(cub.read(root))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_where_files_end_them_and_nowhere_else(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeff1 a\u2028b\x0bc".encode() + end + "2 é\x85".encode() + end)
    assert [(number, line) for number, line in read_lines(path)] == [(1, "1 a\u2028b\x0bc"), (2, "2 é")]
    with pytest.raises(DatasetLayoutError, match=r"absent\.txt cannot be read: No such file or directory$"):
        list(read_lines(tmp_path / "absent.txt"))
    with pytest.raises(DatasetLayoutError, match=r"absent\.txt cannot be read: .*\. It is part of the official dataset"):
        read_table(tmp_path / "absent.txt", "x")


def test_aircraft_refuses_an_image_of_both_training_lists(tmp_path: Path) -> None:
    root = aircraft.locate(official.aircraft(tmp_path, trainval=False))
    official.write(root / "images_variant_val.txt", "0000002 A320", "0000001 737-400")
    with pytest.raises(DatasetContentError, match=r"images_variant_val\.txt: image 0000001 is in the train list as well"):
        list(aircraft.read(root))


FILES = ["n02085620-Chihuahua/n02085620_3.jpg", "n02099267-flat-coated_retriever/n02099267_4.jpg"]


@pytest.mark.parametrize(
    ("files", "labels", "message"),
    [
        (FILES, [[1]], r"test_list\.mat holds 2 files but 1 labels"),
        (FILES, [[1], [1.5]], r"test_list\.mat:2: labels must be a whole number, found 1\.5"),
        (FILES, [[np.nan], [1]], r"test_list\.mat:1: labels must be a whole number, found nan"),
        ([FILES[0], 7], [[1], [66]], r"test_list\.mat:2: file_list must be text, found 7"),
    ],
)
def test_dogs_names_the_entry_of_a_list_that_does_not_fit(
    tmp_path: Path, files: list[object], labels: object, message: str
) -> None:
    root = official.dogs(tmp_path)
    cells = np.empty((len(files), 1), dtype=object)
    cells[:, 0] = files
    scipy.io.savemat(root / "lists/test_list.mat", {"file_list": cells, "labels": np.array(labels)})
    with pytest.raises(DatasetContentError, match=message):
        list(dogs.read(root, ("test",)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("class", "one", r"withlabels\.mat:2: class must be a whole number, found 'one'"),
        ("class", -3, r"withlabels\.mat:2: class -3 is out of range 1…3"),
        ("fname", 5.0, r"withlabels\.mat:2: fname must be text, found 5"),
    ],
)
def test_cars_names_the_entry_and_field_that_does_not_fit(tmp_path: Path, field: str, value: object, message: str) -> None:
    root = official.cars(tmp_path / "a")
    rows = np.empty((1, 2), dtype=[("class", "O"), ("fname", "O")])
    rows[0, :] = [(1, "00001.jpg"), (2, "00002.jpg")]
    rows[0, 1][field] = value
    scipy.io.savemat(root / "cars_test_annos_withlabels.mat", {"annotations": rows})
    with pytest.raises(DatasetContentError, match=message):
        list(cars.read(root, ("test",)))


def deep(levels: int) -> list[object]:
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        ("images", {"id": "121"}, r"val\.json: 'id' must be a whole number, found '121'"),
        ("images", {"id": -1}, "'id' must be a whole number, found -1"),
        ("images", {"id": True}, "'id' must be a whole number, found True"),
        ("images", {"file_name": None}, "'file_name' must be text, found None"),
        ("images", {"file_name": "/etc/passwd"}, "image '/etc/passwd' must be a path below the folder"),
        ("images", {"file_name": "val/../../x.jpg"}, "must be a path below the folder"),
        ("images", {"file_name": "a\nb.jpg"}, r"the character '\\n' in its labels or paths is no text"),
        ("annotations", {"image_id": 121}, "image 121 has two annotations"),
        ("annotations", {"category_id": 1.5}, "'category_id' must be a whole number, found 1.5"),
        ("annotations", {"category_id": 4}, "category 4 is not among the 3 listed"),
        ("categories", {"id": 7}, "category 7 is listed twice"),
        ("categories", {"name": ["a"]}, "'name' must be text, found"),
        ("categories", {"family": deep(300)}, "'family' must be text, found"),
        ("categories", {"genus": {"a": 1}}, "category 0: 'genus' must be text, found"),
    ],
)
def test_inat_names_the_entry_and_field_that_does_not_fit(
    tmp_path: Path, table: str, changes: dict[str, object], message: str
) -> None:
    path = official.inat(tmp_path) / "val.json"
    document = json.loads(path.read_text())
    document[table][0] |= changes
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetContentError, match=message):
        list(inat.read(tmp_path, ("test",)))


def test_inat_reads_a_byte_order_mark_and_refuses_entries_that_are_no_objects(tmp_path: Path) -> None:
    path = official.inat(tmp_path) / "val.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(list(inat.read(tmp_path, ("test",)))) == 3
    path.write_text('{"categories": [5]}')
    with pytest.raises(DatasetContentError, match="categories, entry 1 is 5 instead of an object"):
        list(inat.read(tmp_path, ("test",)))


def test_a_folder_is_found_below_the_one_that_is_given_and_two_are_not_guessed_between(tmp_path: Path) -> None:
    inner = official.cub(tmp_path / "kaggle/archive/CUB_200_2011")
    assert cub.locate(tmp_path / "kaggle") == inner
    official.cub(tmp_path / "kaggle/copy/CUB_200_2011")
    with pytest.raises(DatasetLayoutError, match=r"holds several copies: .*archive.*, .*copy.*Give one of them with --root"):
        cub.locate(tmp_path / "kaggle")


def test_dogs_reads_a_copy_with_each_archive_in_a_folder_of_its_own_and_asks_for_its_lists(tmp_path: Path) -> None:
    root = official.dogs(tmp_path / "dogs")
    (root / "images").mkdir()
    (root / "Images").rename(root / "images/Images")
    annotation = (
        "<annotation><object><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>"
    )
    official.write(root / "annotations/Annotation/n02085620-Chihuahua/n02085620_3", annotation)
    records = list(dogs.read(dogs.locate(root)))
    assert len(records) == 4
    assert all((root / record.image).is_file() for record in records)
    assert list(dogs.boxes(root, "test")) == ["images/Images/n02085620-Chihuahua/n02085620_3.jpg"]
    shutil.rmtree(root / "lists")
    with pytest.raises(
        DatasetLayoutError, match=r"has the images but not the lists .* Unpack http.*lists\.tar .* into .*lists$"
    ):
        dogs.locate(root)


def test_cars_takes_the_devkit_from_where_people_put_it_and_refuses_the_older_numbering(tmp_path: Path) -> None:
    root = official.cars(tmp_path / "cars", doubled=True)
    (root / "car_devkit").mkdir()
    (root / "devkit").rename(root / "car_devkit/devkit")
    (root / "cars_test_annos_withlabels.mat").rename(root / "cars_test_annos_withlabels (1).mat")
    records = list(cars.read(cars.locate(root)))
    assert len(records) == 6
    assert all((root / record.image).is_file() for record in records)
    shutil.rmtree(root / "car_devkit")
    official.write(root / "cars_annos.mat", "x")
    with pytest.raises(
        DatasetLayoutError, match=r"cars_annos\.mat numbers the images of both splits in one row .* Put devkit/"
    ):
        cars.locate(root)


def test_nabirds_reads_ids_with_dashes_without_them_and_mixed(tmp_path: Path) -> None:
    bare, dashed = "0000139e21dc4d0cbfe14cae3c85c829", "0000139e-21dc-4d0c-bfe1-4cae3c85c829"
    seen = []
    for number, ids in enumerate([(bare, bare, bare), (dashed, dashed, dashed), (dashed, bare, dashed)]):
        root = official.nabirds(tmp_path / str(number))
        for name, image_id in zip(("images", "image_class_labels", "train_test_split"), ids, strict=True):
            path = root / f"{name}.txt"
            path.write_text(path.read_text().replace("bb ", f"{image_id} "))
        official.write(root / "bounding_boxes.txt", f"{bare} 1 2 3 4")
        seen.append([record.id for record in nabirds.read(root, ("test",))])
        assert list(nabirds.boxes(root, "test")) == ["images/0295/bb.jpg"]
    assert seen == [[f"nabirds/test/{dashed}", "nabirds/test/dd"]] * 3


def test_lists_with_a_mark_and_the_line_ends_of_windows_give_the_same_records(tmp_path: Path) -> None:
    plain, windows = official.cub(tmp_path / "plain"), official.cub(tmp_path / "windows")
    for path in windows.glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(cub.read(windows)) == list(cub.read(plain))


def test_animals_reads_the_validation_images_by_list_by_development_kit_and_in_folders_of_classes(tmp_path: Path) -> None:
    root = animals.locate(official.animals(tmp_path / "imagenet").parent)
    by_list = list(animals.read(root))
    assert [(r.id, r.superordinate, r.coarse[0], r.fine[0]) for r in by_list] == [
        ("animals/test/ILSVRC2012_val_00000001", "Fish", "Bony fish", "Tench"),
        ("animals/test/ILSVRC2012_val_00000003", "Mammal", "Domestic cat", "Tabby"),
    ]
    (root / "LOC_val_solution.csv").unlink()
    assert list(animals.read(root)) == by_list
    official.write(root / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", "1", "2", "4")
    with pytest.raises(DatasetContentError, match=r"ground_truth\.txt:3: '4' is not the number of a class in .*meta\.mat"):
        list(animals.read(root))
    shutil.rmtree(root / "ILSVRC2012_devkit_t12")
    with pytest.raises(DatasetLayoutError, match=r"no folders of classes. Put LOC_val_solution\.csv"):
        list(animals.read(root))
    for record in by_list:
        folder = root / "val" / record.class_id
        folder.mkdir()
        (root / record.image).rename(folder / Path(record.image).name)
    assert [record.id for record in animals.read(root)] == [record.id for record in by_list]
    official.write(root / "LOC_val_solution.csv", "ILSVRC2012_val_00000001")
    with pytest.raises(DatasetContentError, match=r"LOC_val_solution\.csv:1: expected '<image>,<class> <box>'"):
        list(animals.read(root))


def test_vegfru_reads_both_parts_with_train_and_val_as_train(tmp_path: Path) -> None:
    root = vegfru.locate(official.vegfru(tmp_path / "vegfru").parent)
    records = list(vegfru.read(root))
    assert [(r.id, r.superordinate, r.coarse[0], r.fine[0]) for r in records] == [
        ("vegfru/train/shepherd's_purse/v_01_01_0000", "Vegetable", "Wild vegetable", "Shepherd's Purse"),
        ("vegfru/train/shepherd's_purse/v_01_01_0001", "Vegetable", "Wild vegetable", "Shepherd's Purse"),
        ("vegfru/train/Hami_melon/f_01_01_0000", "Fruit", "Melon", "Hami Melon"),
        ("vegfru/train/Hami_melon/f_01_01_0001", "Fruit", "Melon", "Hami Melon"),
        ("vegfru/test/shepherd's_purse/v_01_01_0002", "Vegetable", "Wild vegetable", "Shepherd's Purse"),
        ("vegfru/test/Hami_melon/f_01_01_0002", "Fruit", "Melon", "Hami Melon"),
    ]
    assert all((root / record.image).is_file() for record in records)
    official.write(root / "fru92_lists/fru_val.txt", "Hami_melon/f_01_01_0001.jpg 1")
    with pytest.raises(DatasetContentError, match=r"fru_val\.txt:1: class 1 of 'Hami_melon/.*; others of Hami_melon have 0"):
        list(vegfru.read(root))
    official.write(root / "veg200_lists/veg_test.txt", "onion.jpg 3")
    with pytest.raises(DatasetContentError, match=r"veg_test\.txt:1: expected '<class>/<image> <number>'"):
        list(vegfru.read(root, ("test",)))
