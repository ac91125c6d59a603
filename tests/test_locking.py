"""Only one process writes a folder at a time, and a killed one lets go of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finer_tasks.errors import OutputError
from finer_tasks.writing import locked

# Holds the lock, with a child that outlives it as the workers of a data loader do.
HOLDER = """
import os, signal, sys
from pathlib import Path
from finer_tasks.writing import locked
with locked(Path(sys.argv[1])):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, b"x")  # it has let go of what it inherited
        signal.pause()
    os.read(reading, 1)
    print("held", flush=True)
    signal.pause()
"""


def test_a_second_writer_is_refused_until_the_first_is_gone_even_by_kill(tmp_path: Path) -> None:
    target = tmp_path / "runs/a"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(target)], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="runs/a is being written by another process"), locked(target):
            pass
        (tmp_path / "link").symlink_to(tmp_path / "runs")
        with pytest.raises(OutputError, match="another process"), locked(tmp_path / "link/a"):
            pass
        with locked(tmp_path / "runs/b"):  # its neighbour is free
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(target):
            assert not target.exists()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a session of its own: the holder and its child
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="a file stands where a folder should be"), locked(tmp_path / "file/run"):
        pass
    assert (tmp_path / "file").read_text() == "mine"
