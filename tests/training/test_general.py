"""The general set of a mixture: what cannot be trained on as it is meant is refused, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finer_tasks.training.errors import MixtureError
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, GeneralSet, MixtureRecipe

NO_JSON = "not json"


def said(question: str, answer: str = "y") -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def recipe(file: Path, drop_broken: bool = False) -> MixtureRecipe:
    share = {"mini": DatasetShare(per_concept=1)}
    general = GeneralSet(file, file.parent)
    return MixtureRecipe("t", share, near_duplicates="ignore", general=general, drop_broken=drop_broken)


def write(file: Path, entries: list[Any]) -> None:
    file.write_text("".join((entry if isinstance(entry, str) else json.dumps(entry)) + "\n" for entry in entries))


BROKEN = [
    ({"id": "a"}, "no conversation", "expected an object with 'conversations'"),
    (["a"], "no conversation", "expected an object"),
    ({"conversations": [{"from": "gpt", "value": "x"}]}, "turns out of order", "turn 0 must be text of 'human'"),
    ({"conversations": [{"from": "human", "value": "x"}]}, "turns out of order", "the last turn must be of 'gpt'"),
    (said("x") | {"image": "a.png"}, "counts that differ", "1 images, but <image> stands 0 times"),
    (said("<image>x"), "counts that differ", "0 images, but <image> stands 1 times"),
    (said("<image><image>x") | {"image": "a.png"}, "counts that differ", "1 images, but <image> stands 2 times"),
    (said("x") | {"images": ["a.png"]}, "counts that differ", "1 images, but <image> stands 0 times"),
    (said("<image>x") | {"images": ["a.png", "a.png"]}, "counts that differ", "2 images, but <image> stands 1 times"),
    (said("<image><image>x") | {"images": ["a.png", "a.png"]}, "more than one image", "only one can be trained on"),
    (said("x", "<image>") | {"image": "a.png"}, "image after the first turn", "must stand in the first turn"),
    (said("<image>x") | {"image": 3}, "image that is no path", "must be the path of a file"),
    (said("<image>x") | {"image": "/etc/a.png"}, "image outside the folder", "'/etc/a.png' must be a path below"),
    (said("<image>x") | {"image": "../a.png"}, "image outside the folder", "'../a.png' must be a path below"),
    (said("<image>x") | {"image": "gone.png"}, "missing image", "gone.png is not in"),
    (said("<image>x") | {"image": "x" * 5000}, "missing image", "is not in"),
    (said("x", " "), "empty turn", "turn 1 of 'gpt' holds no text"),
    (said("<image>x") | {"image": "cut.png"}, "image that cannot be decoded", "cut.png: image cannot be decoded"),
    (said("x") | {"video": "a.mp4"}, "video or audio", "'video'; only images"),
    (said("<image>x") | {"image": "a.png", "videos": ["a.mp4"]}, "video or audio", "'videos'"),
    (said("<video>x"), "video or audio", "'<video>'"),
    (NO_JSON, "no JSON", "Expecting value"),
    ('{"conversations": ' + "[" * 100_000, "no JSON", "recursion"),
    (
        '{"conversations": [{"from": "human", "value": "\\ud800"}, {"from": "gpt", "value": "y"}]}',
        "text that is no Unicode",
        "",
    ),
]


@pytest.fixture
def folder(mini_data: Path, tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    return tmp_path


@pytest.mark.parametrize(("entry", "reason", "message"), BROKEN)
def test_a_broken_entry_is_refused_where_it_stands(folder: Path, entry: Any, reason: str, message: str) -> None:
    write(folder / "g.jsonl", [said("fine"), entry])
    with pytest.raises(MixtureError) as caught:
        build_mixture(recipe(folder / "g.jsonl"), folder / "out")
    text = str(caught.value)
    assert text.startswith(f"{folder / 'g.jsonl'}")
    assert f": {reason}: " in text
    assert message in text
    assert "--drop-broken" in text
    if reason != "image that cannot be decoded":
        assert text.startswith(f"{folder / 'g.jsonl'}:2: ")
    assert not list(folder.glob("*out*"))


def test_broken_entries_are_left_out_and_counted_by_reason(folder: Path) -> None:
    sound = [said("a"), said("<image>b") | {"image": "a.png"}, said("c\n<image>") | {"images": ["a.png"]}]
    sound += [said("d") | {"image": None, "images": [], "video": ""}]
    write(folder / "g.jsonl", sound + [entry for entry, _, _ in BROKEN])
    card = build_mixture(recipe(folder / "g.jsonl", drop_broken=True), folder / "out")
    wanted = [reason for _, reason, _ in BROKEN]
    assert card["left_out"]["general"] == {reason: wanted.count(reason) for reason in set(wanted)}
    assert card["counts"]["source"]["general"] == 4
    rows = [json.loads(line) for line in (folder / "out/conversations.jsonl").read_text().splitlines()]
    shown = {row["conversations"][0]["value"]: row["image"] for row in rows if row["source"] == "general"}
    assert shown == {"a": "", "<image>b": "general/a.png", "c\n<image>": "general/a.png", "d": ""}


def test_as_many_entries_as_asked_for_are_taken_where_some_are_broken(folder: Path) -> None:
    image = [said("<image>x") | {"image": name} for name in ("a.png", "cut.png") for _ in range(5)]
    write(folder / "g.jsonl", image)
    asked = recipe(folder / "g.jsonl", drop_broken=True)
    card = build_mixture(
        MixtureRecipe(
            "t",
            asked.datasets,
            near_duplicates="ignore",
            drop_broken=True,
            general=GeneralSet(folder / "g.jsonl", folder, samples=5),
        ),
        folder / "out",
    )
    assert card["counts"]["source"]["general"] == 5
    assert card["left_out"]["general"] == {"image that cannot be decoded": 5}


def test_a_set_of_which_nothing_is_left_and_a_broken_list_are_refused(folder: Path) -> None:
    write(folder / "g.jsonl", [NO_JSON, NO_JSON])
    with pytest.raises(MixtureError, match=r"nothing is left of general.file .*: 2 no JSON"):
        build_mixture(recipe(folder / "g.jsonl", drop_broken=True), folder / "out")
    (folder / "g.json").write_text(json.dumps([said("a")])[:-9])
    with pytest.raises(MixtureError, match=r"g.json: not valid JSON"):
        build_mixture(recipe(folder / "g.json", drop_broken=True), folder / "out")


def test_a_list_with_a_byte_order_mark_is_read(folder: Path) -> None:
    (folder / "g.json").write_text(json.dumps([said("a")]), encoding="utf-8-sig")
    assert build_mixture(recipe(folder / "g.json"), folder / "out")["counts"]["source"]["general"] == 1
