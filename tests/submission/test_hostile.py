"""Hostile archives: each is refused with one line, before much of it is read, and nothing of it is written."""

from __future__ import annotations

import os
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.submission.archive import SubmissionError, read_archive, write_archive
from finer_tasks.submission.verify import verify
from tests.submission.edits import changed, in_submission

MUTATIONS = 1500
Members = list[tuple[zipfile.ZipInfo, bytes]]


def member(name: str, content: bytes = b"{}", mode: int = stat.S_IFREG, packing: int = zipfile.ZIP_DEFLATED) -> Any:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (mode | 0o644) << 16
    entry.compress_type = packing
    return entry, content


def zipped(path: Path, *members: Any) -> bytes:
    with zipfile.ZipFile(path, "w") as made:
        for entry, content in members:
            made.writestr(entry, content)
    return path.read_bytes()


def renamed(path: Path, name: bytes) -> bytes:
    """A member whose name zipfile itself would not write, in both of its places."""
    return zipped(path, member("x" * len(name))).replace(b"x" * len(name), name)


def encrypted(path: Path) -> bytes:
    content = bytearray(zipped(path, member("submission.json")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    return bytes(content)


def unknown_packing(path: Path) -> bytes:
    content = bytearray(zipped(path, member("submission.json")))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + at] = 97
    return bytes(content)


def lying_about_size(path: Path) -> bytes:
    content = bytearray(zipped(path, member("submission.json", b"x" * 100)))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(content)


def with_end_of_large_archives(path: Path) -> bytes:
    content = zipped(path, member("submission.json"))
    return content[:-22] + b"PK\x06\x07" + bytes(16) + content[-22:]


HOSTILE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "path traversal": (lambda p: zipped(p, member("../../etc/x")), "has no place"),
    "absolute path": (lambda p: zipped(p, member("/tmp/x")), "has no place"),
    "path within tasks": (lambda p: zipped(p, member("tasks/../submission.json")), "has no place"),
    "windows path": (lambda p: zipped(p, member("tasks\\finer_x.jsonl")), "has no place"),
    "line break after the name": (lambda p: renamed(p, b"manifest.json\n"), "'manifest.json\\n' has no place"),
    "null in the name": (lambda p: renamed(p, b"manifest.json\0.exe"), "'manifest.json\\x00.exe' has no place"),
    "escape in the name": (lambda p: renamed(p, b"tasks/finer_\x1b[2J.jsonl"), "'tasks/finer_\\x1b[2J.jsonl' has no place"),
    "link": (lambda p: zipped(p, member("submission.json", b"/etc/passwd", stat.S_IFLNK)), "a link or a device"),
    "device": (lambda p: zipped(p, member("submission.json", b"", stat.S_IFCHR)), "a link or a device"),
    "bomb": (lambda p: zipped(p, member("tasks/finer_x.jsonl", b"\0" * (64 << 20))), "more than a submission may"),
    "large head": (lambda p: zipped(p, member("submission.json", bytes(5 << 20), packing=0)), "more than a submission may"),
    "twice": (lambda p: zipped(p, member("manifest.json"), member("manifest.json")), "there twice"),
    "many": (lambda p: zipped(p, *(member(f"tasks/finer_{n}.jsonl", b"") for n in range(600))), "has 600 members"),
    "no manifest": (lambda p: zipped(p, member("submission.json")), "holds no manifest.json"),
    "encrypted": (encrypted, "is encrypted"),
    "lzma": (lambda p: zipped(p, member("manifest.json", packing=zipfile.ZIP_LZMA)), "in another way than deflate"),
    "bzip2": (lambda p: zipped(p, member("manifest.json", packing=zipfile.ZIP_BZIP2)), "in another way than deflate"),
    "unknown packing": (unknown_packing, "in another way than deflate"),
    "a lie about the size": (lying_about_size, "x.zip"),
    "something after the end": (lambda p: zipped(p, member("manifest.json")) + b"#!/bin/sh\n", "its end is missing"),
    "the end of a large archive": (with_end_of_large_archives, "its end is missing"),
    "empty": (lambda _: b"", "its end is missing"),
    "an end alone": (lambda _: b"PK\x05\x06" + b"\xff" * 18, "has 65535 members"),
    "no zip": (lambda _: b"x" * 1000, "its end is missing"),
    "deep manifest": (lambda p: zipped(p, member("manifest.json", b"[" * 60_000)), "is no valid JSON"),
    "manifest of text": (lambda p: zipped(p, member("manifest.json", b"\xff\xfe")), "is no valid JSON"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = HOSTILE[name]
    path = tmp_path / "x.zip"
    path.write_bytes(make(path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["submit", "verify", str(path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["here", "x.zip"]


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "nowhere.zip").symlink_to(tmp_path / "gone")
    for path in tmp_path.iterdir():
        with pytest.raises(SubmissionError, match="is no file"):
            read_archive(path)


def test_any_damage_to_an_archive_is_a_refusal_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    """Bytes changed, cut and added at random in a small archive, most of which is headers."""
    path, rng = tmp_path / "x.zip", random.Random(2)
    members = {"submission.json": b'{"a": 1}', "tasks/finer_x.jsonl": b"{}\n" * 20}
    write_archive(path, members)
    whole = path.read_bytes()
    for _ in range(MUTATIONS):
        content = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        path.write_bytes(content)
        try:
            found, _ = read_archive(path)
        except SubmissionError:
            continue
        assert found == members


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


SUBMISSIONS: dict[str, tuple[bytes | Callable[[dict[str, bytes]], None], str]] = {
    "a key twice": (b'{"a": 1, "a": 2}', "a key is there twice"),
    "NaN": (b'{"a": NaN}', "nan is no number of JSON"),
    "too large a number": (b'{"a": 1e999}', "inf is no number of JSON"),
    "a number of many digits": (b'{"schema_version": ' + b"1" * 5000 + b"}", "is no valid JSON"),
    "deep": (b"[" * 60_000, "nested too deeply"),
    "half a character": (b'{"a": "\\ud800"}', "lone surrogate"),
    "no UTF-8": (b"\xff", "is no valid JSON"),
    "a list": (b"[]", "the whole: "),
    "a deep decoding": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"].update(generation=nested(40))), "nested too deeply"),
    "a long decoding": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"].update(generation={"until": random.Random(0).randbytes(20_000).hex()})),
        "more than 20,000 characters"),
    "half a character in the decoding": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["generation"].update(until="\ud800")), "lone surrogate"),
    "an unknown task": (
        in_submission(lambda raw: raw["tasks"].update(finer_x=raw["tasks"]["finer_mini_fine"])), "but not in both"),
    "more rows than documents": (
        lambda members: members.update({"tasks/finer_mini_fine.jsonl": b"".join(b'{"id": "%d"}\n' % n for n in range(99_999))}),
        "has 99999 documents, the official ones are 640"),
    "an older schema": (in_submission(lambda raw: raw.update(schema_version=1)), "has schema 1, .*pack the runs again"),
    "a newer schema": (in_submission(lambda raw: raw.update(schema_version=9)), "has schema 9, .*update finer-tasks"),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_an_archive_with_odd_members_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    content, message = SUBMISSIONS[name]
    path = tmp_path / "x.zip"
    if isinstance(content, bytes):
        write_archive(path, {"submission.json": content})
    else:
        changed(archive, path, content)
    with pytest.raises(SubmissionError, match=message):
        verify(path)


@pytest.mark.parametrize(
    "text", ["\x1b[2Jx", "x\nverified: every score follows from its answer", "x\u202ey", "x\0y", "x\u2066y"]
)
def test_names_that_could_forge_a_line_are_refused(text: str, archive: Path, tmp_path: Path) -> None:
    for field in ("name", "revision", "contact"):
        path = changed(archive, tmp_path / "x.zip", in_submission(lambda raw, field=field: raw["card"].update({field: text})))
        with pytest.raises(SubmissionError, match=f"card.{field}: "):
            verify(path)


def test_what_identifies_a_task_is_shown_in_short(archive: Path, tmp_path: Path) -> None:
    edit = in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(prompt_hash="x" * 10_000))
    (problem,) = verify(changed(archive, tmp_path / "x.zip", edit)).problems
    assert len(problem) < 300
