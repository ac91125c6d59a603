"""Text of others: harmless on a terminal, in tables and in files."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from finer_tasks.cli.output import say
from finer_tasks.console import PlainConsole
from finer_tasks.errors import ResultsError, exit_code_of
from finer_tasks.text import harmless, well_formed

SPOOF = "x\x1b[2J\nverified: \u202eevil [bold]y[/bold] :smile: \ud800\0"
SHOWN = r"x\x1b[2J\nverified: \u202eevil [bold]y[/bold] :smile: \ud800\x00"


def test_harmful_characters_become_visible_escapes_and_scripts_stay() -> None:
    assert harmless(SPOOF) == SHOWN
    names = "Żółw 鶴 אבוקע ع Boeing 747‑8 👩\u200d🚀 \u00a0é"
    assert harmless(names) == names
    assert harmless("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@given(st.text(alphabet=st.characters()))
def test_any_text_becomes_one_line_without_controls_that_utf_8_can_hold(text: str) -> None:
    shown = harmless(text)
    shown.encode()
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert not any(
        unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") for char in shown
    )
    assert harmless(shown) == shown
    well_formed(text).encode()


def test_the_console_shows_text_as_it_is_also_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    say(SPOOF)
    assert capsys.readouterr().out == SHOWN + "\n"
    file = io.StringIO()
    table = Table(SPOOF, title=SPOOF)
    table.add_row(SPOOF)
    PlainConsole(file=file, width=200, force_terminal=False).print(table)
    lines = file.getvalue()
    assert lines.count("[bold]y[/bold] :smile:") == 3
    assert "\x1b" not in lines


@pytest.mark.parametrize("width", [80, 45, 20])
def test_figures_are_never_cut_short_however_narrow_the_terminal(width: int) -> None:
    file = io.StringIO()
    table = Table("dataset", "level", "top-1")
    table.add_row("mini", "superordinate", "0.979 [0.940, 1.000]")
    console = PlainConsole(file=file, width=width)
    console.print_figures(table)
    assert "superordinate" in file.getvalue()
    assert "0.979 [0.940, 1.000]" in file.getvalue()
    assert ("│" in file.getvalue()) == (width == 80)
    assert console.width == width


def test_messages_of_errors_keep_their_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(ResultsError("a\nb \x1b[31m")) == 2
    assert capsys.readouterr().err == "finer: a\nb \\x1b[31m\n"
