"""Edits of a submission whose sums are made to fit again, as a forger would."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finer_tasks.submission.archive import read_archive, write_archive


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
