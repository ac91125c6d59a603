"""Small datasets in the official formats, written by the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image


def picture(path: Path, seed: int = 0) -> None:
    """A small picture whose bytes depend on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(path, quality=90)


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode())
    return path


def cub(root: Path, end: str = "\n") -> Path:
    """Two classes, ids with gaps, two training and two test images."""
    write(root / "classes.txt", "1 001.Black_footed_Albatross", "17 017.Cardinal", end=end)
    rows = [
        ("3", "001.Black_footed_Albatross/a.jpg", "1", "1"),
        ("4", "001.Black_footed_Albatross/b.jpg", "1", "0"),
        ("900", "017.Cardinal/c.jpg", "17", "1"),
        ("901", "017.Cardinal/d.jpg", "17", "0"),
    ]
    write(root / "images.txt", *(f"{i} {path}" for i, path, _, _ in rows), "", end=end)
    write(root / "image_class_labels.txt", *(f"{i} {label}" for i, _, label, _ in rows), end=end)
    write(root / "train_test_split.txt", *(f"{i} {flag}" for i, _, _, flag in rows), end=end)
    for seed, (_, path, _, _) in enumerate(rows):
        picture(root / "images" / path, seed)
    return root


def aircraft(root: Path, trainval: bool = True) -> Path:
    data = root / "data"
    splits = {
        "trainval": {"0000001": ("737-300", "Boeing 737", "Boeing"), "0000002": ("A320", "A320", "Airbus")},
        "test": {"0000003": ("F-16A/B", "F-16", "Lockheed Martin"), "0000004": ("737-400", "Boeing 737", "Boeing")},
    }
    for split, images in splits.items():
        parts = {split: images}
        if split == "trainval" and not trainval:
            first, *rest = images.items()
            parts = {"train": dict([first]), "val": dict(rest)}
        for name, members in parts.items():
            for position, kind in enumerate(("variant", "family", "manufacturer")):
                write(data / f"images_{kind}_{name}.txt", *(f"{i} {labels[position]}" for i, labels in members.items()))
        for seed, image_id in enumerate(images):
            picture(data / "images" / f"{image_id}.jpg", seed + len(split))
    return root


def _cells(values: list[str]) -> Any:
    cells = np.empty((len(values), 1), dtype=object)
    for index, value in enumerate(values):
        cells[index, 0] = value
    return cells


def dogs(root: Path, text: bool = False) -> Path:
    files = {
        "train": ["n02085620-Chihuahua/n02085620_1.jpg", "n02099267-flat-coated_retriever/n02099267_2.jpg"],
        "test": ["n02085620-Chihuahua/n02085620_3.jpg", "n02099267-flat-coated_retriever/n02099267_4.jpg"],
    }
    for split, names in files.items():
        if text:
            write(root / f"{split}_list.txt", *names)
        else:
            (root / "lists").mkdir(parents=True, exist_ok=True)
            content = {"file_list": _cells(names), "labels": np.array([[1], [66]])}
            scipy.io.savemat(root / "lists" / f"{split}_list.mat", content)
        for seed, name in enumerate(names):
            picture(root / "Images" / name, seed + len(split))
    return root


CARS = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"]


def cars(root: Path, doubled: bool = False) -> Path:
    devkit = root / "devkit"
    devkit.mkdir(parents=True)
    names = np.empty((1, len(CARS)), dtype=object)
    names[0, :] = CARS
    scipy.io.savemat(devkit / "cars_meta.mat", {"class_names": names})
    kind = [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
    for split, path in (("train", devkit / "cars_train_annos.mat"), ("test", root / "cars_test_annos_withlabels.mat")):
        rows = np.empty((1, 3), dtype=kind)
        for index in range(3):
            rows[0, index] = (1, index + 1, f"0000{index + 1}.jpg")
            folder = root / f"cars_{split}" / (f"cars_{split}" if doubled else ".")
            picture(folder / f"0000{index + 1}.jpg", index + 10 * len(split))
        scipy.io.savemat(path, {"annotations": rows})
    return root


def cars_csv(root: Path) -> Path:
    write(root / "names.csv", *CARS)
    for split in ("train", "test"):
        write(root / f"anno_{split}.csv", *(f"0000{i}.jpg,1,2,30,20,{i}" for i in (1, 2, 3)))
        for index, name in enumerate(CARS):
            picture(root / "car_data/car_data" / split / name.replace("/", "-") / f"0000{index + 1}.jpg", index + len(split))
    return root


def pets(root: Path) -> Path:
    """A cat and a dog, two training and two test images, a comment and a blank line."""
    lists = {
        "trainval": ["#Image CLASS-ID SPECIES BREED ID", "Maine_Coon_7 18 1 9", "", "wheaten_terrier_12 36 2 24"],
        "test": ["Maine_Coon_8 18 1 9", "wheaten_terrier_13 36 2 24"],
    }
    for name, lines in lists.items():
        write(root / "annotations" / f"{name}.txt", *lines)
        for seed, line in enumerate(line for line in lines if "_" in line):
            picture(root / "images" / f"{line.split()[0]}.jpg", seed + len(name))
    return root


def flowers(root: Path) -> Path:
    """Four images of two classes: one in each list of training, two to test."""
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "imagelabels.mat", {"labels": np.array([[77, 2, 77, 2]], dtype=np.uint8)})
    lists = {"trnid": [3], "valid": [2], "tstid": [1, 4]}
    scipy.io.savemat(root / "setid.mat", {name: np.array([numbers], dtype=np.uint16) for name, numbers in lists.items()})
    for number in range(1, 5):
        picture(root / f"jpg/image_{number:05d}.jpg", number)
    return root


def food(root: Path) -> Path:
    """Two dishes that have images of one number."""
    lists = {"train": ["apple_pie/7", "pho/7"], "test": ["apple_pie/8", "pho/8"]}
    for split, lines in lists.items():
        write(root / "meta" / f"{split}.txt", *lines)
        for seed, line in enumerate(lines):
            picture(root / "images" / f"{line}.jpg", seed + len(split))
    return root


def animals(root: Path) -> Path:
    """Three validation images, one of which shows no animal, with the development kit and the list of the copy on Kaggle."""
    wnids = ["n01440764", "n03000684", "n02123045"]  # tench, chain saw, tabby
    for number in range(1, len(wnids) + 1):
        picture(root / f"val/ILSVRC2012_val_{number:08d}.JPEG", number)
    kit = root / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    synsets = np.array([(number, wnid, "") for number, wnid in enumerate(wnids, start=1)], dtype=kind)
    scipy.io.savemat(kit / "meta.mat", {"synsets": synsets[:, None]})
    write(kit / "ILSVRC2012_validation_ground_truth.txt", "1", "2", "3")
    boxes = [f"ILSVRC2012_val_{number:08d},{wnid} 1 2 3 4 {wnid} 5 6 7 8" for number, wnid in enumerate(wnids, start=1)]
    write(root / "LOC_val_solution.csv", "ImageId,PredictionString", *boxes)
    return root


def vegfru(root: Path) -> Path:
    """A vegetable and a fruit, each with an image in the three lists; both parts number their classes from 0."""
    for part, folder in (("veg200", "shepherd's_purse"), ("fru92", "Hami_melon")):
        for number, split in enumerate(("train", "val", "test")):
            image = f"{folder}/{part[0]}_01_01_000{number}.jpg"
            write(root / f"{part}_lists" / f"{part[:3]}_{split}.txt", f"{image} 0")
            picture(root / f"{part}_images" / image, seed=number + len(part))
    return root


def nabirds(root: Path) -> Path:
    """Leaf ids with gaps, stray spaces in names, and a class of each depth."""
    write(
        root / "classes.txt",
        "0 Birds", "1 Ducks, Geese, and Swans", "22 Perching Birds", "30 Wood-Warblers", "31 Blue-winged Teal",
        "295 Blue-winged Teal  (Male)", "700 Swainson's Hawk (Dark morph )", "701 Ovenbird",
        "5 Hawks, Kites, Eagles, and Allies",
        "40 Swainson's Hawk",
    )  # fmt: skip
    write(root / "hierarchy.txt", "1 0", "5 0", "22 0", "30 22", "31 1", "295 31", "40 5", "700 40", "701 30")
    rows = [("aa", "0295", "1"), ("bb", "0295", "0"), ("cc", "0700", "1"), ("dd", "0701", "0")]
    write(root / "images.txt", *(f"{uuid} {folder}/{uuid}.jpg" for uuid, folder, _ in rows))
    write(root / "image_class_labels.txt", *(f"{uuid} {int(folder)}" for uuid, folder, _ in rows))
    write(root / "train_test_split.txt", *(f"{uuid} {flag}" for uuid, _, flag in rows))
    for seed, (uuid, folder, _) in enumerate(rows):
        picture(root / "images" / folder / f"{uuid}.jpg", seed)
    return root


def _category(number: int, name: str, common: str, family: str, order: str, kind: str, supercategory: str) -> dict[str, Any]:
    return {
        "id": number, "name": name, "common_name": common, "supercategory": supercategory, "kingdom": "Animalia",
        "phylum": "Chordata", "class": kind, "order": order, "family": family, "genus": name.split()[0],
        "specific_epithet": name.split()[1], "image_dir_name": f"{number:05d}_x",
    }  # fmt: skip


def inat(root: Path, train: str = "train_mini") -> Path:
    categories = [
        _category(0, "Lumbricus terrestris", "", "Lumbricidae", "Haplotaxida", "Clitellata", "Animalia"),
        _category(7, "Anas platyrhynchos", "Mallard", "Anatidae", "Anseriformes", "Aves", "Birds"),
        _category(9, "Novus ignotus", "", "Ignotidae", "Ignotiformes", "Ignota", "Insects"),
    ]
    for split in (train, "val"):
        images = [
            {"id": 100 + 3 * c["id"], "file_name": f"{split}/{c['image_dir_name']}/x.jpg", "latitude": 1.5} for c in categories
        ]
        labels = [{"id": i, "image_id": 100 + 3 * c["id"], "category_id": c["id"]} for i, c in enumerate(categories)]
        document = {"info": {}, "images": images, "annotations": labels, "categories": categories, "licenses": []}
        write(root / f"{split}.json", json.dumps(document))
        for seed, image in enumerate(images):
            picture(root / image["file_name"], seed + len(split))
    return root
