"""A console that shows text of others as it is."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from finer_tasks.text import harmless

_WIDEST = 10_000


class PlainConsole(Console):
    """A console that shows text as it is, also in tables and titles: no markup, no control characters.

    Names of models and concepts are others' text; `[bold]` in one is no instruction, and an escape
    sequence cannot rewrite what stands above it. Styles are given as `style=` or `rich.text.Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(harmless(text, keep="\n"), **options)

    def print_figures(self, table: Table) -> None:
        """A table of figures, none of which may be cut short: without lines, and beyond the edge, where it is too wide."""
        for column in table.columns:
            column.no_wrap = True
        if self._natural(table) > self.width:
            table.box, table.padding = None, (0, 2, 0, 0)
        before, self._width = self._width, max(self.width, self._natural(table))
        try:
            self.print(table)
        finally:
            self._width = before

    def _natural(self, table: Table) -> int:
        return self.measure(table, options=self.options.update(width=_WIDEST)).maximum

    def say(self, text: str, style: str = "") -> None:
        """One line as it is, without wrapping."""
        self.print(harmless(text), style=style, soft_wrap=True)
