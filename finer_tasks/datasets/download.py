"""Fetching official archives: resumable, checked, and unpacked without leaving the target folder."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import requests
from tqdm import tqdm

from finer_tasks.datasets.reader import Archive, Origin
from finer_tasks.errors import DownloadError, in_one_line
from finer_tasks.writing import writing

ATTEMPTS = 5
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_CHUNK = 1 << 20
_PIECE = 1 << 16  # small, since what a cut connection sent of the last piece is lost


def fetch_dataset(name: str, origin: Origin, target: Path) -> Path:
    """Download and unpack all archives of a dataset below `target`; returns the folder for --root.

    What is already there and complete is not fetched again. Raises DownloadError, or OutputError where the disk refuses.
    """
    if not origin.archives:
        raise DownloadError(f"{name} cannot be fetched automatically; get it by hand:\n{origin.describe(name)}")
    for archive in origin.archives:
        marker = target / f".unpacked-{archive.name}"
        if marker.exists() and (target / origin.unpacked).is_dir():
            continue
        path = fetch(archive, target / "archives")
        _place(archive, path, target / archive.into)
        with writing(marker):
            marker.touch()
            path.unlink(missing_ok=True)
    return target / origin.unpacked


def _place(archive: Archive, path: Path, folder: Path) -> None:
    """Unpack it, or move a file that is no archive to where the dataset has it."""
    if archive.packed:
        unpack(path, folder)
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        os.replace(path, folder / archive.name)


def fetch(archive: Archive, folder: Path, wait: float = 1.0) -> Path:
    """Download one archive to `folder`, resuming what an interrupted run left; verifies the checksum.

    `wait` seconds pass before the second attempt, twice as many before each further one.
    """
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    if path.exists():
        return path
    with writing(path):  # an OSError that gets here is the disk's
        folder.mkdir(parents=True, exist_ok=True)
        _transfer_in_attempts(archive, part, wait)
        _verify(archive, part)
        os.replace(part, path)
    return path


def _transfer_in_attempts(archive: Archive, part: Path, wait: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            _transfer(archive, part)
            return
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if attempt == ATTEMPTS - 1:
                raise DownloadError(
                    f"{archive.url}: the connection failed {ATTEMPTS} times ({error}). "
                    f"Run the same command again: it goes on after {_size(part)} bytes"
                ) from error
            time.sleep(wait * 2**attempt)
        except requests.RequestException as error:  # such as a loop of redirects, which another attempt does not mend
            raise DownloadError(f"{archive.url}: {error}. See `finer prepare --help`") from error


def _transfer(archive: Archive, part: Path) -> None:
    """Append the missing bytes to `part`; starts over where the server cannot resume."""
    done = _size(part)
    if archive.size and done == archive.size:
        return
    # The bytes as they lie there: a compression on the way would hide how many are left.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(archive.url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        if response.status_code == 416 and done:
            return  # nothing is left to send; the checksum decides
        if response.status_code >= 500 or response.status_code == 429:
            raise requests.ConnectionError(f"status {response.status_code}")
        if response.status_code not in (200, 206):
            raise DownloadError(
                f"{archive.url}: the server answered with status {response.status_code}. See `finer prepare --help`"
            )
        resumed = response.status_code == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            part.unlink()
            raise requests.ConnectionError("the server sent another part than the one that was asked for")
        announced = response.headers.get("Content-Length", "")
        left = int(announced) if announced.isascii() and announced.isdecimal() else 0
        total = left + (done if resumed else 0) if left else 0
        _require_space(part.parent, left)
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(total=total or None, initial=done if resumed else 0, unit="B", unit_scale=True, desc=archive.name) as bar,
        ):
            for chunk in response.iter_content(_PIECE):
                file.write(chunk)
                bar.update(len(chunk))
    if total and _size(part) < total:
        raise requests.ConnectionError(f"cut off after {_size(part)} of {total} bytes")


def _verify(archive: Archive, part: Path) -> None:
    if archive.size and part.stat().st_size != archive.size:
        found = part.stat().st_size
        part.unlink()
        raise DownloadError(
            f"{archive.url}: {found} bytes instead of {archive.size}. The file was removed; run the command again"
        )
    if not archive.checksum:
        return
    algorithm, _, expected = archive.checksum.partition(":")
    digest = hashlib.new(algorithm)
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        part.unlink()
        raise DownloadError(
            f"{archive.url}: its {algorithm} is {digest.hexdigest()} instead of {expected}. "
            "The file was removed; run the command again"
        )


def unpack(path: Path, target: Path) -> None:
    """Unpack a tar archive into `target`; refuses members that lead out of it, and leaves nothing half done.

    Members are unpacked beside the target first and moved in when all are there.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("this Python cannot unpack archives safely. Use Python 3.11.4 or later")
    fresh = target / f".unpacking-{path.name}"
    with writing(target):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            _extract(path, fresh)
            _move_into(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _extract(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            for member in tqdm(_members(archive), desc=f"unpacking {path.name}", unit=" files", mininterval=1):
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk refuses; what is wrong with an archive has no number
        raise DownloadError(f"{path} cannot be unpacked ({in_one_line(error)}). Delete it and run the command again") from error


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        if member.isdev():
            raise tarfile.TarError(f"member {member.name!r} is a device")
        yield member


def _move_into(source: Path, target: Path) -> None:
    """Move everything below `source` into `target`, joining folders that exist on both sides."""
    for item in source.iterdir():
        goal = target / item.name
        if item.is_dir() and not item.is_symlink() and goal.is_dir():
            _move_into(item, goal)
        else:
            os.replace(item, goal)


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{folder}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free. Make room or set FINER_DATA_DIR"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
