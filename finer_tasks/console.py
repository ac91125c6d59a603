"""A console that shows text of others as it is."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from finer_tasks.text import harmless


class PlainConsole(Console):
    """A console that shows text as it is, also in tables and titles: no markup, no control characters.

    Names of models and concepts are others' text; `[bold]` in one is no instruction, and an escape
    sequence cannot rewrite what stands above it. Styles are given as `style=` or `rich.text.Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(harmless(text, keep="\n"), **options)

    def say(self, text: str, style: str = "") -> None:
        """One line as it is, without wrapping."""
        self.print(harmless(text), style=style, soft_wrap=True)
