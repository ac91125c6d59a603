"""Exit codes and one-line messages of errors, foreseen or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from finer_tasks.errors import ResultsError, exit_code_of


def test_an_unforeseen_error_has_its_own_exit_code_and_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError) as caught:
        {}["absent"]
    assert exit_code_of(caught.value) == 70
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("finer: unexpected KeyError: 'absent'")
    log = re.search(r"Details are in (\S+\.log)", told)
    assert log is not None
    text = Path(log.group(1)).read_text()
    Path(log.group(1)).unlink()
    assert "Traceback" in text
    assert "test_errors.py" in text


def test_what_a_user_can_mend_gives_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert exit_code_of(ResultsError("samples.jsonl:3: cut off")) == 2
    with pytest.raises(OSError, match="absent") as caught:
        (tmp_path / "absent.json").read_text()
    assert exit_code_of(caught.value) == 2
    told = capsys.readouterr().err
    assert told == f"finer: samples.jsonl:3: cut off\nfiner: {tmp_path}/absent.json: No such file or directory\n"
