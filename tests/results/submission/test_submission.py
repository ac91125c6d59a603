"""Submissions through the command: what was packed verifies, what was edited never does, hostile archives are refused."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli import main
from finer_tasks.errors import FinerError
from finer_tasks.results.reading import read_run
from finer_tasks.results.submission.archive import SubmissionError, read_archive, write_archive
from finer_tasks.results.submission.models import json_schema
from finer_tasks.results.submission.pack import pack, read_card
from finer_tasks.results.submission.verify import verify
from tests.results.submission.made import write_card, write_submission, write_whole_run

EDITS = 1000


@pytest.fixture(scope="module", autouse=True)
def _data(shared_data: Path) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setenv("FINER_DATA_DIR", str(shared_data))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_submission(tmp_path_factory.mktemp("submission"), "Model", 0.7)


def test_a_packed_run_verifies_and_packs_to_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 0.7), write_card(tmp_path / "card.yaml")
    for name in ("a.zip", "b.zip"):
        assert main(["submit", "pack", str(run), "--card", str(card), "--output", str(tmp_path / name)]) == 0
    digest = capsys.readouterr().out.split()[-1]
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert main(["submit", "verify", str(tmp_path / "a.zip"), "--digest", digest]) == 0
    assert "verified: every score follows from its answer" in capsys.readouterr().out
    assert main(["submit", "verify", str(tmp_path / "a.zip"), "--digest", "0" * 64]) == 1


def changed(archive: Path, path: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy whose members were edited and whose sums were made to fit again."""
    members, _ = read_archive(archive)
    edit(members)
    write_archive(path, members)
    return path


def lines_of(members: Mapping[str, bytes], task: str = "finer_mini_fine") -> list[dict[str, Any]]:
    return [json.loads(line) for line in members[f"tasks/{task}.jsonl"].splitlines()]


def put(members: dict[str, bytes], lines: list[dict[str, Any]], task: str = "finer_mini_fine") -> None:
    members[f"tasks/{task}.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()


def in_submission(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def edit(members: dict[str, bytes]) -> None:
        raw = json.loads(members["submission.json"])
        change(raw)
        members["submission.json"] = json.dumps(raw).encode()

    return edit


def in_lines(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[dict[str, bytes]], None]:
    def edit(members: dict[str, bytes]) -> None:
        lines = lines_of(members)
        change(lines)
        put(members, lines)

    return edit


def first_wrong(lines: list[dict[str, Any]]) -> int:
    return next(number for number, line in enumerate(lines) if line["scores"]["em"] == 0)


FORGERIES = {
    "a score": (in_lines(lambda ls: ls[first_wrong(ls)]["scores"].update(em=1.0)), "scores are not what its answer gets"),
    "an answer": (in_lines(lambda ls: ls[first_wrong(ls)].update(outputs=["Answer: x y"])), "means are not|scores are not"),
    "a right answer": (
        in_lines(lambda ls: ls[first_wrong(ls)].update(outputs=["Answer: Alder Finch, Bor Heron"])), "scores|means"),
    "a dropped document": (in_lines(lambda ls: ls.pop(first_wrong(ls))), "document is missing"),
    "a duplicate": (in_lines(lambda ls: ls.append(ls[0])), "there more than once"),
    "an invented document": (in_lines(lambda ls: ls[0].update(id="mini/test/x/0")), "no official one"),
    "another question": (in_lines(lambda ls: ls[0].update(question="0" * 16)), "asked another question"),
    "a mean": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["scores"].update(em=0.99)), "means are not those"),
    "another prompt set": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(prompt_hash="x")), "prompt_hash is 'x'"),
    "other data": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(data_fingerprint="x")), "data_fingerprint"),
    "another level": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(level="coarse")), "level is 'coarse'"),
    "the count": (in_submission(lambda raw: raw["tasks"]["finer_mini_fine"].update(documents=9)), "9 documents are stated"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_fitting_sums_does_not_verify(name: str, archive: Path, tmp_path: Path) -> None:
    edit, problem = FORGERIES[name]
    if name == "an answer":  # of a document that was right, so that a score depends on it
        edit = in_lines(lambda ls: next(line for line in ls if line["scores"]["em"] == 1).update(outputs=["Answer: x y"]))
    found = verify(changed(archive, tmp_path / "x.zip", edit))
    assert not found.holds
    assert re.search(problem, " ".join(found.problems))


def test_of_a_thousand_random_edits_none_verifies(archive: Path, tmp_path: Path) -> None:
    """Edits of a byte or a value within a member, the manifest left as it is: the sums tell, before anything is scored."""
    rng = random.Random(0)
    with zipfile.ZipFile(archive) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    path = tmp_path / "x.zip"
    for _ in range(EDITS):
        edited = dict(members)
        name = rng.choice(sorted(edited))
        edited[name] = edit_at_random(edited[name], rng)
        if edited[name] == members[name]:
            continue
        with zipfile.ZipFile(path, "w") as made:
            for member, content in edited.items():
                made.writestr(member, content)
        try:
            holds = verify(path).holds
        except FinerError:
            continue
        assert not holds, f"an edit of {name} verified"


def edit_at_random(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    kind = rng.randrange(4)
    if kind == 0:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at] + content[at + rng.randrange(1, 40) :]
    if kind == 2:
        return content[:at] + bytes(rng.choices(b'0123456789."{}[],: aeiou', k=rng.randrange(1, 8))) + content[at:]
    lines = content.splitlines(keepends=True)
    return b"".join([*lines, rng.choice(lines)])


def test_of_random_scores_with_fitting_sums_none_verifies(archive: Path, tmp_path: Path) -> None:
    """The forger who fits the sums: a document's score or place changed at random."""
    rng = random.Random(1)
    for _ in range(25):

        def edit(members: dict[str, bytes]) -> None:
            lines = lines_of(members)
            line = rng.choice(lines)
            kind = rng.randrange(3)
            if kind == 0:
                metric = rng.choice(sorted(line["scores"]))
                line["scores"][metric] = (line["scores"][metric] + rng.uniform(0.01, 1)) % 1.0001
            elif kind == 1:
                lines.remove(line)
            else:
                line["id"] = rng.choice([other["id"] for other in lines if other["id"] != line["id"]])
            put(members, lines)

        assert not verify(changed(archive, tmp_path / "x.zip", edit)).holds


def hostile(path: Path, entries: list[tuple[zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for entry, content in entries:
            entry.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(entry, content)
    return path


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("submission.json")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


HOSTILE: dict[str, tuple[list[tuple[zipfile.ZipInfo, bytes]], str]] = {
    "path traversal": ([(zipfile.ZipInfo("../../etc/x"), b"x")], "has no place"),
    "absolute path": ([(zipfile.ZipInfo("/tmp/x"), b"x")], "has no place"),
    "link": ([(link(), b"/etc/passwd")], "a link or a device"),
    "bomb": ([(zipfile.ZipInfo("submission.json"), b"\0" * (64 << 20))], "more than a submission may"),
    "twice": ([(zipfile.ZipInfo("manifest.json"), b"{}"), (zipfile.ZipInfo("manifest.json"), b"{}")], "there twice"),
    "many": ([(zipfile.ZipInfo(f"tasks/finer_{n}.jsonl"), b"") for n in range(600)], "has 600 members"),
    "no manifest": ([(zipfile.ZipInfo("submission.json"), b"{}")], "holds no manifest.json"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, message = HOSTILE[name]
    path = hostile(tmp_path / "x.zip", entries)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["submit", "verify", str(path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["here", "x.zip"]


def test_a_member_that_lies_about_its_size_is_refused(archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    at = content.rfind(b"PK\x01\x02")  # the last entry of the directory; its unpacked size stands 24 bytes on
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(bytes(content))
    with pytest.raises(SubmissionError):
        read_archive(tmp_path / "x.zip")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000, "\xff"])
def test_odd_json_is_refused(text: str, tmp_path: Path) -> None:
    members = {"submission.json": text.encode("latin-1")}
    write_archive(tmp_path / "x.zip", members)
    with pytest.raises(SubmissionError):
        verify(tmp_path / "x.zip")


def test_runs_that_could_never_verify_are_not_packed(tmp_path: Path) -> None:
    run, card = write_whole_run(tmp_path / "run", 0.5), read_card(write_card(tmp_path / "card.yaml"))
    (results,) = run.glob("*_results.json")
    raw = json.loads(results.read_text())
    raw["config"]["limit"] = 8.0
    results.write_text(json.dumps(raw))
    with pytest.raises(SubmissionError, match="on a part of its documents"):
        pack([read_run(run)], card, tmp_path / "x.zip")
    other = write_whole_run(tmp_path / "other", 0.5, model="another")
    whole = write_whole_run(tmp_path / "whole", 0.5)
    with pytest.raises(SubmissionError, match="of different models"):
        pack([read_run(whole), read_run(other)], card, tmp_path / "x.zip")
    with pytest.raises(SubmissionError, match="in more than one of the runs"):
        pack([read_run(whole), read_run(whole)], card, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
    (tmp_path / "card.yaml").write_text("name: x\n")
    with pytest.raises(SubmissionError, match="revision: Field required"):
        read_card(tmp_path / "card.yaml")


def test_the_published_schema_is_that_of_the_models() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "finer_tasks.results.submission.models"], capture_output=True, text=True, check=True
    )  # fmt: skip
    stored = Path(str(__import__("finer_tasks").__path__[0])) / "results/submission/schema.json"
    assert stored.read_text() == json_schema() == made.stdout


def test_the_digest_is_that_of_the_manifest(archive: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        assert verify(archive).digest == hashlib.sha256(opened.read("manifest.json")).hexdigest()
