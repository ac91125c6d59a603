"""`finer attributes`: what it writes, what it keeps, and what it refuses."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from finer_tasks.attributes.knowledge import (
    ConceptAttributes,
    Provenance,
    knowledge_path,
    load_knowledge,
    write_knowledge,
)
from finer_tasks.cli.main import main
from tests.e2e.server import chat_server

ALBATROSS, ANI = "black_footed_albatross", "groove_billed_ani"


def entry(concept_id: str, phrase: str, reviewed: bool = False) -> ConceptAttributes:
    return ConceptAttributes(concept_id, concept_id, (phrase,), (), Provenance("test", reviewed=reviewed))


@pytest.fixture
def old() -> Path:
    """A knowledge base of cub with one reviewed entry and one that is not."""
    path = knowledge_path("cub")
    write_knowledge(path, [entry(ALBATROSS, "old reviewed", reviewed=True), entry(ANI, "old")])
    return path


def required() -> dict[str, str]:
    return {concept_id: known.required[0] for concept_id, known in load_knowledge("cub").concepts.items()}


def bring(tmp_path: Path, *entries: ConceptAttributes, options: tuple[str, ...] = ()) -> int:
    write_knowledge(tmp_path / "new.jsonl", entries)
    return main(["attributes", "import", "cub", str(tmp_path / "new.jsonl"), *options])


def test_an_import_merges_and_keeps_what_was_reviewed(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring(tmp_path, entry(ALBATROSS, "new"), entry(ANI, "new"), entry("laysan_albatross", "new")) == 0
    assert required() == {ALBATROSS: "old reviewed", ANI: "new", "laysan_albatross": "new"}
    assert "3 concepts: 1 new, 1 replaced, 1 kept, 1 of them reviewed" in capsys.readouterr().out
    assert bring(tmp_path, entry(ALBATROSS, "new reviewed", reviewed=True)) == 0
    assert required()[ALBATROSS] == "new reviewed"
    assert bring(tmp_path, entry(ANI, "newest"), options=("--overwrite",)) == 0
    assert required() == {ANI: "newest"}


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_an_import_of_nothing_changes_nothing(
    old: Path, tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    before = old.read_bytes()
    (tmp_path / "authors.json").write_text(json.dumps([{"name": "Dodo", "required": ["gone"]}]))
    assert bring(tmp_path, entry("pug", "curly tail"), options=options) == 2
    assert bring(tmp_path, options=options) == 2
    assert bring(tmp_path, replace(entry(ANI, "x"), required=()), options=options) == 2
    assert main(["attributes", "import", "cub", str(tmp_path / "authors.json"), *options]) == 2
    assert main(["attributes", "import", "cub", str(tmp_path / "absent.jsonl"), *options]) == 2
    printed = capsys.readouterr()
    assert "match no concept of cub (1 names): Dodo" in printed.out
    assert "has attributes for no concept of cub" in printed.err
    assert "Traceback" not in printed.err
    assert old.read_bytes() == before


def test_a_build_adds_to_what_is_there(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first three concepts of cub: one is reviewed, and one reply is of no use at first."""
    arguments = ["attributes", "build", "cub", "--model", "m", "--encyclopedia", "", "--limit", "3", "--endpoint"]
    failures = old.with_suffix(".failures.json")
    with chat_server(lambda text: "I cannot" if "Sooty" in text else "Required:\n- made") as server:
        assert main([*arguments, server.url]) == 2
        assert required() == {ALBATROSS: "old reviewed", ANI: "old", "laysan_albatross": "made"}
        assert json.loads(failures.read_text()) == {"sooty_albatross": "[no attributes found] I cannot"}
        server.answer = lambda text: "Required:\n- made later"  # type: ignore[method-assign]
        assert main([*arguments, server.url]) == 0
        assert required()["sooty_albatross"] == "made later"
        assert required()["laysan_albatross"] == "made"
        assert not failures.exists()
        assert len(server.seen) == 4
    assert "4 concepts: 1 new, 1 replaced, 2 kept, 1 of them reviewed" in capsys.readouterr().out


def test_a_build_without_a_usable_reply_changes_nothing(old: Path) -> None:
    before = old.read_bytes()
    with chat_server(lambda text: "I cannot") as server:
        arguments = ["attributes", "build", "cub", "--model", "m", "--encyclopedia", "", "--limit", "1", "--overwrite"]
        assert main([*arguments, "--endpoint", server.url]) == 2
    assert old.read_bytes() == before
    assert ALBATROSS in old.with_suffix(".failures.json").read_text()


@pytest.mark.parametrize("option", ["--limit", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_counts_start_at_one(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["attributes", "build", "cub", "--endpoint", "x", "--model", "m", option, value])
    assert "is no whole number from 1 on" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = knowledge_path("cub").parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file")
    assert bring(tmp_path, entry(ANI, "new")) == 2
    assert "a file stands where a folder should be" in capsys.readouterr().err
    assert stat.S_ISREG(folder.stat().st_mode)


def test_the_attributes_of_mini_are_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["attributes", "import", "mini", "x.jsonl"])
    assert "invalid choice: 'mini'" in capsys.readouterr().err
