"""Where datasets come from, read from sources.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True)
class Archive:
    """One file to download; `checksum` is '<algorithm>:<hex>' or '' where none is published."""

    url: str
    checksum: str
    size: int | None
    into: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Source:
    """Origin, terms and ways to get a dataset."""

    title: str
    home: str
    terms: str
    root: str
    manual: str
    archives: tuple[Archive, ...]
    unpacked: str
    splits: tuple[str, ...]

    def describe(self, name: str) -> str:
        """What a user needs to know to get the dataset, as indented text."""
        lines = [f"{name}: {self.title}", f"  from:  {self.home}", f"  terms: {self.terms}", f"  --root: {self.root}"]
        if self.archives:
            lines.append("  --download fetches: " + ", ".join(archive.url for archive in self.archives))
        if self.manual:
            lines += ["  by hand:"] + [f"    {line}" for line in self.manual.rstrip().splitlines()]
        return "\n".join(lines)


@lru_cache(maxsize=1)
def load_sources() -> dict[str, Source]:
    """All sources by dataset name."""
    text = resources.files(__package__).joinpath("sources.yaml").read_text(encoding="utf-8")
    return {name: _source(raw) for name, raw in yaml.safe_load(text).items()}


def _source(raw: dict[str, Any]) -> Source:
    archives = tuple(
        Archive(
            url=item["url"],
            checksum="" if item["checksum"] == "none" else item["checksum"],
            size=item.get("bytes"),
            into=item.get("into", "."),
        )
        for item in raw.get("archives", ())
    )
    return Source(
        title=raw["title"],
        home=raw["home"],
        terms=raw["terms"],
        root=raw["root"],
        manual=raw.get("manual", ""),
        archives=archives,
        unpacked=raw.get("unpacked", "."),
        splits=tuple(raw.get("splits", ("train", "test"))),
    )
