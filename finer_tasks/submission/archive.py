"""Reading and writing the archive. Nothing of an archive is ever written to disk, and its size is bounded before it is read."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from finer_tasks.errors import FinerError
from finer_tasks.parsing import explain, parse_json
from finer_tasks.submission.models import Manifest
from finer_tasks.writing import write_bytes

MANIFEST, SUBMISSION = "manifest.json", "submission.json"
_MEMBER = re.compile(r"manifest\.json|submission\.json|tasks/finer_[a-z0-9_]{1,80}\.jsonl")
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_MEMBERS = 500
_LARGEST_ARCHIVE, _LARGEST_DIRECTORY = 256 << 20, _MOST_MEMBERS << 9
_LARGEST_MEMBER, _LARGEST_HEAD, _LARGEST_SUM, _HIGHEST_RATIO = 256 << 20, 4 << 20, 1 << 30, 200
# The end of a zip file: mark, members, size and place of the directory; before it, in larger ones, another mark.
_END, _END_MARK, _END_64_MARK = struct.Struct("<4s6xHLL2x"), b"PK\x05\x06", b"PK\x06\x07"
_MAKE = "Make it with `finer submit pack`"


class SubmissionError(FinerError):
    """An archive cannot be read as a submission, or must not be."""


def write_archive(path: Path, members: Mapping[str, bytes]) -> str:
    """Write the members with their manifest; returns the manifest's SHA-256, the digest of the submission.

    The same members give the same bytes.
    """
    manifest = _manifest_bytes({name: hashlib.sha256(content).hexdigest() for name, content in members.items()})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in [(MANIFEST, manifest), *sorted(members.items())]:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(manifest).hexdigest()


def read_archive(path: Path) -> tuple[dict[str, bytes], str]:
    """All members but the manifest, their sums checked, and the digest; raises SubmissionError."""
    members = _members(path)
    raw = members.pop(MANIFEST, None)
    if raw is None:
        raise SubmissionError(f"{path} holds no {MANIFEST}. {_MAKE}")
    try:
        manifest = Manifest.model_validate(parse(raw, f"{path}: {MANIFEST}"))
    except ValidationError as error:
        raise SubmissionError(f"{path}: {MANIFEST} is broken: {explain(error)}") from error
    if raw != _manifest_bytes(manifest.files):
        raise SubmissionError(f"{path}: {MANIFEST} was changed after packing: it is not written as `finer submit pack` does")
    if set(manifest.files) != set(members):
        odd = sorted(set(manifest.files) ^ set(members))[0]
        raise SubmissionError(f"{path}: {odd!r} is in the archive or in its manifest, but not in both")
    for name, content in members.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise SubmissionError(f"{path}: {name} was changed after packing: its SHA-256 is not the manifest's")
    return members, hashlib.sha256(raw).hexdigest()


def parse(content: bytes, what: str) -> object:
    """Strict JSON; raises SubmissionError."""
    try:
        return parse_json(content)
    except ValueError as error:
        raise SubmissionError(f"{what} is no valid JSON ({error})") from error


def _manifest_bytes(sums: Mapping[str, str]) -> bytes:
    return Manifest(files=dict(sorted(sums.items()))).model_dump_json(indent=2).encode()


def _members(path: Path) -> dict[str, bytes]:
    try:
        _check_end(path)
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: _read(path, archive, entry) for entry in _checked(path, archive)}
    except FinerError:
        raise
    # Of hostile bytes zipfile and the decompressors below it raise what they like: struct.error, LZMAError, IndexError.
    except Exception as error:
        raise SubmissionError(f"{path} is no readable zip archive ({error or type(error).__name__}). {_MAKE}") from error


def _check_end(path: Path) -> None:
    """Bound the size of the file and of its directory, which zipfile reads whole."""
    if not path.is_file():
        raise SubmissionError(f"{path} is no file. {_MAKE}")
    size = path.stat().st_size
    if size > _LARGEST_ARCHIVE:
        raise SubmissionError(f"{path} has {size} bytes; a submission has at most {_LARGEST_ARCHIVE >> 20} MiB")
    with path.open("rb") as file:
        file.seek(max(0, size - _END.size - 20))
        tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != _END_MARK or tail.startswith(_END_64_MARK):
        raise SubmissionError(f"{path} is no readable zip archive: its end is missing, or not as zip files end. {_MAKE}")
    _, entries, directory, _ = _END.unpack(tail[-_END.size :])
    if entries > _MOST_MEMBERS or directory > _LARGEST_DIRECTORY:
        raise SubmissionError(f"{path} has {entries} members; a submission has at most {_MOST_MEMBERS}")


def _checked(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        largest = _LARGEST_MEMBER if name.startswith("tasks/") else _LARGEST_HEAD
        if not _MEMBER.fullmatch(name) or entry.orig_filename != name:
            raise SubmissionError(f"{path}: member {entry.orig_filename[:200]!r} has no place in a submission")
        if name in seen:
            raise SubmissionError(f"{path}: member {name} is there twice")
        if kind not in (0, stat.S_IFREG):
            raise SubmissionError(f"{path}: member {name} is a link or a device, not a file")
        if entry.flag_bits & 0x1:
            raise SubmissionError(f"{path}: member {name} is encrypted")
        if entry.compress_type not in _PACKINGS:
            raise SubmissionError(f"{path}: member {name} is compressed in another way than deflate")
        if entry.file_size > largest or entry.file_size > _HIGHEST_RATIO * max(1, entry.compress_size) + (1 << 16):
            raise SubmissionError(f"{path}: member {name} unpacks to {entry.file_size} bytes, more than a submission may")
        seen.add(name)
    if sum(entry.file_size for entry in entries) > _LARGEST_SUM:
        raise SubmissionError(f"{path} unpacks to more than {_LARGEST_SUM >> 30} GiB")
    return entries


def _read(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise SubmissionError(f"{path}: member {entry.filename} is not of the size that the archive states")
    return content
