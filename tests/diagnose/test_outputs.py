"""What a diagnosis shows: in the terminal, as a page, a picture and JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from finer_tasks.console import PlainConsole
from finer_tasks.diagnose.diagnosis import RULES, diagnose
from finer_tasks.diagnose.display import print_diagnoses
from finer_tasks.diagnose.picture import bands, draw
from finer_tasks.diagnose.verdict import FATES, PROJECTOR
from finer_tasks.diagnose.writing import write_diagnosis
from tests.diagnose.test_verdict import planted, without


def test_the_files_say_what_was_found_and_how(tmp_path: Path) -> None:
    found = diagnose(planted("projector"))
    figures, page, picture = write_diagnosis("my model <b>", [found], tmp_path)
    document = json.loads(figures.read_text())
    assert document["rules"] == RULES
    level = document["levels"][0]
    assert level["overall"]["concepts"][PROJECTOR] == sum(one["fate"] == PROJECTOR for one in level["verdicts"])
    assert level["stages"][0]["threshold"]["above_shuffled"] == 0
    text = page.read_text()
    assert "my model &lt;b&gt;" in text
    assert all(rule in text.replace("&#39;", "'") for rule in RULES.values())
    assert not re.search(r"(src|href)=|url\(|@import|https?://(?!www.w3.org/2000/svg)", text)
    assert text.count("<tr><td><bdi>") == found.concepts
    assert draw(found) in text
    ElementTree.fromstring(picture.read_text())


def test_the_picture_is_as_wide_as_the_shares() -> None:
    found = diagnose(planted("projector"))
    made = bands(found)
    assert [band.fate for band in made] == [fate for fate in FATES if fate in found.overall.shares]
    whole = sum(band.height for band in made)
    for band in made:
        assert band.height / whole == pytest.approx(max(0.0, band.share.value), abs=0.01)
    assert made[-1].through_height == pytest.approx(0)


def test_the_terminal_shows_stages_fates_and_the_concepts_that_are_not_named() -> None:
    file = io.StringIO()
    found = diagnose(planted("projector"))
    hostile = replace(found.verdicts[0], name="[bold]\x1b[2J")
    partial = diagnose(without(planted("projector"), "projector"))
    print_diagnoses([replace(found, verdicts=(hostile, *found.verdicts[1:])), partial], PlainConsole(file=file, width=150))
    text = file.getvalue()
    assert "lost in the projector" in text
    assert "[bold]" in text
    assert "\x1b[2J" not in text
    assert "note: without a probe of the projector" in text
    assert all(name in text for name in RULES)
