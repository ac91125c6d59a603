"""Replacing files and folders: whole or not at all, and nothing left lying about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finer_tasks.errors import OutputError
from finer_tasks.writing import replacing, write_bytes, write_text
from tests.faults import full_disk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(target: Path) -> None:
    with replacing(target) as fresh:
        fresh.write_text("half")
        raise RuntimeError("stopped")


def test_a_failure_leaves_the_old_content_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="stopped"):
        write_half(target)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["card.json"]


def test_names_are_no_patterns(tmp_path: Path) -> None:
    for name in ("a**b.html", "a[b", "a?"):
        write_text(tmp_path / name, "new")
    assert names(tmp_path) == ["a**b.html", "a?", "a[b"]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "mix"
    for content in ("one", "two"):
        with replacing(target) as fresh:
            fresh.mkdir()
            (fresh / "file").write_text(content)
    assert (target / "file").read_text() == "two"
    assert names(tmp_path) == ["mix"]


KILLED = """
import os, signal, sys
from pathlib import Path
from finer_tasks.writing import replacing
with replacing(Path(sys.argv[1])) as fresh:
    fresh.mkdir()
    (fresh / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "mix"
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    with replacing(target) as fresh:
        fresh.mkdir()
    assert names(tmp_path) == ["mix"]


def test_the_old_folder_comes_back_after_a_kill_between_the_two_renames(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    target = tmp_path / "mix"
    with replacing(tmp_path / "other") as fresh:
        fresh.touch()
    old = tmp_path / fresh.name.replace(".other.", ".mix.").replace(f"-{os.getpid()}.new", f"-{dead.stdout.strip()}.old")
    old.mkdir()
    (old / "kept").touch()
    with pytest.raises(RuntimeError, match="stopped"):
        write_half(target)
    assert names(target) == ["kept"]


def test_a_temporary_of_a_living_process_stays(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    with replacing(target) as fresh:
        fresh.write_text("x")
        process = os.getppid()
        other = fresh.with_name(fresh.name.replace(str(os.getpid()), str(process)))
        other.write_text("theirs")
    write_text(target, "again")
    assert other.read_text() == "theirs"


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    write_text(target, "old")
    with full_disk(), pytest.raises(OutputError, match=r"card\.json cannot be written"):
        write_bytes(target, b"x" * 5000)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["card.json"]


def test_a_file_where_a_folder_should_be_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="a file stands where a folder should be"):
        write_text(tmp_path / "file" / "card.json", "x")
    with pytest.raises(OutputError, match="is a folder"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(OutputError, match="is a file"), replacing(tmp_path / "file") as fresh:
        fresh.mkdir()
    assert names(tmp_path) == ["file", "folder"]


def test_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "a\ud800b")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "a?b"
