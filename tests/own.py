"""A small dataset of a user's own: two groups of two classes, four pictures each."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.cli.main import main
from tests import official

CLASSES = {"Bolete": ("Penny Bun", "Devil's Bolete"), "Amanita": ("Fly Agaric", "Death Cap")}
WORDS = ["--noun", "fungus", "--coarse-term", "genus", "--fine-term", "species", "--superordinate", "Fungus"]


def photos(root: Path, count: int = 4) -> Path:
    """<group>/<class>/<number>.jpg, all pictures different."""
    seed = 0
    for group, names in CLASSES.items():
        for name in names:
            for number in range(count):
                official.picture(root / group / name / f"{number}.jpg", seed := seed + 1)
    return root


def init(root: Path, *options: str, name: str = "fungi") -> int:
    """`finer dataset init` with all words of a taxonomy."""
    return main(["dataset", "init", name, "--images", str(root), *WORDS, *options])


def listed(path: Path, header: str, *rows: str, mark: bool = False) -> Path:
    """A list of images, with a byte order mark where asked for."""
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + "".join(f"{line}\r\n" for line in (header, *rows)).encode())
    return path
