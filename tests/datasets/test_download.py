"""Downloads against a server on this machine, faults included."""

from __future__ import annotations

import hashlib
import http.server
import io
import resource
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from finer_tasks.datasets import download
from finer_tasks.datasets.download import fetch, fetch_dataset, unpack
from finer_tasks.datasets.reader import Archive, Origin
from finer_tasks.datasets.registry import get_reader
from finer_tasks.errors import DownloadError, OutputError
from tests.faults import FaultHandler

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT (or `content`), with ranges; `faults` are spent one a request, 'cut', 'loop', '500' and so on."""

    faults: list[str]
    ranges: list[str | None]
    content = CONTENT


class Handler(FaultHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault.isdigit():
            self.send_error(int(fault))
            return
        if fault == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            self.server.faults.append(fault)
            return
        if fault.startswith("length"):
            self.send_response(200)
            self.send_header("Content-Length", fault.removeprefix("length "))
            self.end_headers()
            self.wfile.write(self.server.content)
            return
        if fault == "other-part":
            self.send_body(206, self.server.content, cut=False)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and fault != "no-range" else 0
        body = self.server.content[start:]
        headers = {"Content-Range": f"bytes {start}-{start + len(body) - 1}/*"} if start else {}
        self.send_body(206 if start else 200, body, fault == "cut", headers)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.faults, running.ranges = [], []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()


def archive(server: Server, checksum: str | None = None) -> Archive:
    good = f"md5:{hashlib.md5(server.content).hexdigest()}"
    return Archive(f"http://127.0.0.1:{server.server_port}/set.tar", good if checksum is None else checksum, None, ".")


def test_a_cut_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.faults = ["cut", "500", "cut"]
    path = fetch(archive(server), tmp_path, wait=0)
    assert path.read_bytes() == CONTENT
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0 for wanted in server.ranges]
    assert 0 == starts[0] < starts[1] == starts[2] < starts[3] < len(CONTENT)
    assert starts[1] > len(CONTENT) // 4


def test_a_part_of_an_earlier_run_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(CONTENT[:1000])
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]
    fetch(archive(server), tmp_path)
    assert len(server.ranges) == 1


def test_a_server_that_cannot_resume_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(CONTENT[:1000])
    server.faults = ["no-range"]
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_removes_the_file_and_says_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"its md5 is .* instead of 00.*run the command again"):
        fetch(archive(server, "md5:00"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_gone_or_failing_servers_are_reported(server: Server, tmp_path: Path) -> None:
    server.faults = ["404"]
    with pytest.raises(DownloadError, match="status 404"):
        fetch(archive(server), tmp_path)
    server.faults = ["500"] * download.ATTEMPTS
    with pytest.raises(DownloadError, match=rf"failed {download.ATTEMPTS} times.*goes on after 0 bytes"):
        fetch(archive(server), tmp_path, wait=0)


def test_a_loop_of_redirects_is_reported_at_once(server: Server, tmp_path: Path) -> None:
    server.faults = ["loop"]
    with pytest.raises(DownloadError, match=r"set\.tar: Exceeded 30 redirects.*finer prepare --help"):
        fetch(archive(server), tmp_path)


@pytest.mark.parametrize("length", ["many", "-1", "\u00b2"])
def test_a_length_that_is_no_number_is_unknown(server: Server, tmp_path: Path, length: str) -> None:
    server.faults = [f"length {length}"]
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("length", ["1, 2", str(len(CONTENT) + 5)])
def test_a_false_length_ends_in_words(server: Server, tmp_path: Path, length: str) -> None:
    server.faults = [f"length {length}"] * download.ATTEMPTS
    with pytest.raises(DownloadError, match=r"set\.tar: .*(Content-Length|failed 5 times)"):
        fetch(archive(server), tmp_path, wait=0)


def test_another_part_than_the_missing_one_is_not_appended(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(CONTENT[:1000])
    server.faults = ["other-part"]
    assert fetch(archive(server, ""), tmp_path, wait=0).read_bytes() == CONTENT


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Every file that grows beyond 100,000 bytes fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_no_fault_of_connection_or_archive(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tar(tmp_path / "a.tar", ("one.txt", b"1" * 500_000))
    request.getfixturevalue("small_disk")
    with pytest.raises(OutputError, match=r"set\.tar cannot be written: File too large"):
        fetch(archive(server), tmp_path)
    with pytest.raises(OutputError, match=r"target cannot be written: File too large"):
        unpack(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_file_where_the_folder_should_be_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(OutputError, match=r"set\.tar cannot be written: .*a file stands where a folder should be"):
        fetch(archive(server), tmp_path / "data" / "archives")


def tar(path: Path, *members: tuple[str, bytes | str]) -> Path:
    """A tar file; a member with text content is a symbolic link to it."""
    with tarfile.open(path, "w") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                file.addfile(info)
            else:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    "member", [("../outside.txt", b"x"), ("/etc/outside.txt", b"x"), ("link", "/etc/passwd"), ("a/link", "../../outside")]
)
def test_nothing_leaves_the_target(tmp_path: Path, member: tuple[str, bytes | str]) -> None:
    path = tar(tmp_path / "evil.tar", ("fine.txt", b"ok"), member)
    target = tmp_path / "deep" / "target"
    if member[0] == "/etc/outside.txt":  # made relative by tarfile, which is safe as well
        unpack(path, target)
        assert (target / "etc/outside.txt").exists()
    else:
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            unpack(path, target)
        assert list(target.iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()
    assert not (tmp_path / "deep/outside").exists()


def test_a_cut_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", ("one.txt", b"1" * 5000), ("two.txt", b"2" * 5000))
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("damage", [b"\x1f\x8b\x08garbage" * 40, b"\xfd7zXZ\0garbage" * 40, b"BZh9garbage" * 40, b""])
def test_what_is_no_archive_is_to_be_deleted(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(damage)
    with pytest.raises(DownloadError, match=r"a\.tar cannot be unpacked .*Delete it and run the command again"):
        unpack(tmp_path / "a.tar", tmp_path / "target")


def test_damage_inside_a_compressed_archive_is_found(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as file:
        info = tarfile.TarInfo("x")
        info.size = len(CONTENT)
        file.addfile(info, io.BytesIO(CONTENT))
    damaged = bytearray((tmp_path / "a.tgz").read_bytes())
    for place in range(1000, 1100):
        damaged[place] ^= 0xFF
    (tmp_path / "a.tgz").write_bytes(damaged)
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tgz", tmp_path / "target")


def test_a_whole_dataset_is_fetched_once(server: Server, tmp_path: Path) -> None:
    server.content = tar(tmp_path / "made.tar", ("SET/images.txt", b"1 a.jpg")).read_bytes()
    source = Origin("t", "h", "free", "r", archives=(archive(server),), unpacked="SET")
    root = fetch_dataset("cub", source, tmp_path / "target")
    assert (root / "images.txt").read_bytes() == b"1 a.jpg"
    fetch_dataset("cub", source, tmp_path / "target")
    assert len(server.ranges) == 1
    shutil.rmtree(root)
    assert fetch_dataset("cub", source, tmp_path / "target").is_dir(), "what was removed is fetched again"


def test_datasets_to_fetch_by_hand_are_explained() -> None:
    for name in ("cars", "nabirds"):
        with pytest.raises(DownloadError, match="by hand"):
            fetch_dataset(name, get_reader(name).origin, Path("/nonexistent"))
