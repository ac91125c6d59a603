"""Reading and writing the archive. Nothing of an archive is ever written to disk, and its size is bounded before it is read."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from finer_tasks.errors import FinerError
from finer_tasks.results.submission.models import Manifest
from finer_tasks.writing import write_bytes

MANIFEST, SUBMISSION = "manifest.json", "submission.json"
_MEMBER = re.compile(r"^(manifest\.json|submission\.json|tasks/finer_[a-z0-9_]{1,80}\.jsonl)$")
_MOST_MEMBERS = 500
_LARGEST_MEMBER, _LARGEST_SUM, _HIGHEST_RATIO = 256 << 20, 1 << 30, 200


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
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(path, archive)
            members = {entry.filename: _read(path, archive, entry) for entry in entries}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise SubmissionError(f"{path} is no readable zip archive ({error}). Make it with `finer submit pack`") from error
    raw = members.pop(MANIFEST, None)
    if raw is None:
        raise SubmissionError(f"{path} holds no {MANIFEST}; make it with `finer submit pack`")
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise SubmissionError(f"{path}: {MANIFEST} is broken: {explain(error)}") from error
    if raw != _manifest_bytes(manifest.files):
        raise SubmissionError(f"{path}: {MANIFEST} was changed after packing: it is not written as `finer submit pack` does")
    if set(manifest.files) != set(members):
        odd = sorted(set(manifest.files) ^ set(members))[0]
        raise SubmissionError(f"{path}: {odd} is in the archive or in its manifest, but not in both")
    for name, content in members.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise SubmissionError(f"{path}: {name} was changed after packing: its SHA-256 is not the manifest's")
    return members, hashlib.sha256(raw).hexdigest()


def _manifest_bytes(sums: Mapping[str, str]) -> bytes:
    return Manifest(files=dict(sorted(sums.items()))).model_dump_json(indent=2).encode()


def explain(error: ValidationError) -> str:
    """The first problem of a validation in a line."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"


def parse_json(content: bytes, what: str) -> object:
    """JSON without duplicate keys and without NaN; raises SubmissionError."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def refuse(name: str) -> object:
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(content, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"{what} is no valid JSON ({error})") from error


def _checked(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > _MOST_MEMBERS:
        raise SubmissionError(f"{path} has {len(entries)} members; a submission has at most {_MOST_MEMBERS}")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if not _MEMBER.match(name):
            raise SubmissionError(f"{path}: member {name!r} has no place in a submission")
        if name in seen:
            raise SubmissionError(f"{path}: member {name} is there twice")
        if kind not in (0, stat.S_IFREG):
            raise SubmissionError(f"{path}: member {name} is a link or a device, not a file")
        if entry.flag_bits & 0x1:
            raise SubmissionError(f"{path}: member {name} is encrypted")
        if entry.file_size > _LARGEST_MEMBER or entry.file_size > _HIGHEST_RATIO * max(1, entry.compress_size) + (1 << 16):
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
