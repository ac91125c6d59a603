"""The console of the finer command."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from finer_tasks.console import PlainConsole

# Wide enough for the tables where there is no terminal to ask.
out = PlainConsole(width=None if sys.stdout.isatty() else 130)
say = out.say


def written(paths: Iterable[Path]) -> None:
    """Tell which files were written, on standard error, which leaves the output to be piped."""
    for path in paths:
        print(f"written {path}", file=sys.stderr)
