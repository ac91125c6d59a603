"""Pieces of an experiment: done once each, in order, by one process or by several, and gone on with after a stop."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finer_tasks.training.work import Piece, work


def piece(root: Path, name: str, *needs: str, do: Callable[[], object] | None = None) -> Piece:
    result = root / name
    return Piece("kind", name, result, do or (lambda: result.write_text(name)), tuple(root / need for need in needs))


def test_what_is_needed_comes_first_and_what_is_there_stays(tmp_path: Path) -> None:
    done: list[str] = []

    def make(name: str) -> Callable[[], None]:
        def do() -> None:
            done.append(name)
            (tmp_path / name).write_text("new")

        return do

    (tmp_path / "b").write_text("old")
    work([piece(tmp_path, "a", "c", do=make("a")), piece(tmp_path, "b", do=make("b")), piece(tmp_path, "c", do=make("c"))],
         tmp_path / "locks")  # fmt: skip
    assert done == ["c", "a"]
    assert (tmp_path / "b").read_text() == "old"


def test_a_failure_ends_the_work_and_the_next_call_goes_on_with_it(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("no")

    pieces = [piece(tmp_path, "a"), piece(tmp_path, "b", do=fail), piece(tmp_path, "c")]
    with pytest.raises(ValueError, match="no"):
        work(pieces, tmp_path / "locks")
    assert (tmp_path / "a").exists()
    assert not (tmp_path / "c").exists()
    work([pieces[0], piece(tmp_path, "b"), pieces[2]], tmp_path / "locks")
    assert (tmp_path / "c").exists()


def _slowly(root: Path, number: int) -> None:
    time.sleep(0.05)
    with (root / "done.log").open("a") as file:
        file.write(f"{number}\n")
    (root / str(number)).touch()


def _share(root: Path) -> None:
    pieces = [piece(root, str(number), do=lambda number=number: _slowly(root, number)) for number in range(12)]
    work(pieces, root / "locks")
    assert all(one.result.exists() for one in pieces)


def test_processes_share_the_pieces_and_each_is_done_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_share, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(map(int, (tmp_path / "done.log").read_text().split())) == list(range(12))


def test_a_piece_that_another_has_is_waited_for(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(10)
        (tmp_path / "a").write_text("theirs")

    other = threading.Thread(target=work, args=([piece(tmp_path, "a", do=hold)], tmp_path / "locks"))
    other.start()
    entered.wait(10)
    threading.Timer(0.2, leave.set).start()
    work([piece(tmp_path, "a"), piece(tmp_path, "b", "a")], tmp_path / "locks")
    other.join()
    assert (tmp_path / "a").read_text() == "theirs"
    assert (tmp_path / "b").exists()
