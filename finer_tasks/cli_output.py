"""What the parts of the finer command share: the console, and numbers that JSON lacks."""

from __future__ import annotations

import sys

from rich.console import Console

# Wide enough for the tables where there is no terminal to ask.
out = Console(width=None if sys.stdout.isatty() else 130)


def say(text: str) -> None:
    """A line as it is, without markup, colours or wrapping."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def without_nan(value: object) -> object:
    """nan as null, since JSON has no nan."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
