"""Submissions through the command: what was packed verifies, what was edited never does."""

from __future__ import annotations

import hashlib
import io
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import FinerError
from finer_tasks.submission.models import json_schema
from finer_tasks.submission.verify import verify
from tests.submission.edits import changed, in_lines, in_submission, lines_of, put
from tests.submission.made import write_card, write_whole_run

EDITS = 1000


def test_a_packed_run_verifies_and_packs_to_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, card = write_whole_run(tmp_path / "run", 0.7), write_card(tmp_path / "card.yaml")
    for name in ("a.zip", "b.zip"):
        assert main(["submit", "pack", str(run), "--card", str(card), "--output", str(tmp_path / name)]) == 0
    digest = capsys.readouterr().out.split()[-1]
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert main(["submit", "verify", str(tmp_path / "a.zip"), "--digest", digest]) == 0
    assert "verified: every score follows from its answer" in capsys.readouterr().out
    assert main(["submit", "verify", str(tmp_path / "a.zip"), "--digest", "0" * 64]) == 1


def first_wrong(lines: list[dict[str, Any]]) -> int:
    return next(number for number, line in enumerate(lines) if line["scores"]["em"] == 0)


FORGERIES = {
    "a score": (in_lines(lambda ls: ls[first_wrong(ls)]["scores"].update(em=1.0)), "scores are not what its answer gets"),
    "an answer": (in_lines(lambda ls: ls[first_wrong(ls)].update(outputs=["Answer: x y"])), "means are not|scores are not"),
    "a right answer": (
        in_lines(lambda ls: ls[first_wrong(ls)].update(outputs=["Answer: Alder Finch, Bor Heron"])), "scores|means"),
    "a dropped document": (in_lines(lambda ls: ls.pop(first_wrong(ls))), "document is missing"),
    "a duplicate": (in_lines(lambda ls: ls.__setitem__(1, ls[0])), "there more than once"),
    "an invented document": (in_lines(lambda ls: ls[0].update(id="mini/test/x/0")), "no official one"),
    "another question": (in_lines(lambda ls: ls[0].update(question="0" * 16)), "asked another question"),
    "a mean": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["scores"].update(em=0.99)), "means are not those"),
    "another prompt set": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(prompt_hash="x")), "prompt_hash is 'x'"),
    "other data": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(data_fingerprint="x")), "data_fingerprint"),
    "a run on perturbed images": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(perturbation={"name": "blur"})),
        "perturbation is .*, official is None"),
    "another level": (
        in_submission(lambda raw: raw["tasks"]["finer_mini_fine"]["identity"].update(level="coarse")), "level is 'coarse'"),
    "the count": (in_submission(lambda raw: raw["tasks"]["finer_mini_fine"].update(documents=9)), "9 documents are stated"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_fitting_sums_does_not_verify(name: str, archive: Path, tmp_path: Path) -> None:
    edit, problem = FORGERIES[name]
    if name == "an answer":  # of a document that was right, so that a score depends on it
        edit = in_lines(lambda ls: next(line for line in ls if line["scores"]["em"] == 1).update(outputs=["Answer: x y"]))
    found = verify(changed(archive, tmp_path / "x.zip", edit))
    assert not found.holds
    assert re.search(problem, " ".join(found.problems))


def test_of_a_thousand_random_edits_none_verifies(archive: Path, tmp_path: Path) -> None:
    """Edits of a byte or a value within a member, the manifest left as it is: the sums tell, before anything is scored."""
    rng = random.Random(0)
    with zipfile.ZipFile(archive) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    path = tmp_path / "x.zip"
    for _ in range(EDITS):
        edited = dict(members)
        name = rng.choice(sorted(edited))
        edited[name] = edit_at_random(edited[name], rng)
        if edited[name] == members[name]:
            continue
        with zipfile.ZipFile(path, "w") as made:
            for member, content in edited.items():
                made.writestr(member, content)
        try:
            holds = verify(path).holds
        except FinerError:
            continue
        assert not holds, f"an edit of {name} verified"


def edit_at_random(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    kind = rng.randrange(4)
    if kind == 0:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at] + content[at + rng.randrange(1, 40) :]
    if kind == 2:
        return content[:at] + bytes(rng.choices(b'0123456789."{}[],: aeiou', k=rng.randrange(1, 8))) + content[at:]
    lines = content.splitlines(keepends=True)
    return b"".join([*lines, rng.choice(lines)])


def test_of_random_scores_with_fitting_sums_none_verifies(archive: Path, tmp_path: Path) -> None:
    """The forger who fits the sums: a document's score or place changed at random."""
    rng = random.Random(1)
    for _ in range(25):

        def edit(members: dict[str, bytes]) -> None:
            lines = lines_of(members)
            line = rng.choice(lines)
            kind = rng.randrange(3)
            if kind == 0:
                metric = rng.choice(sorted(line["scores"]))
                line["scores"][metric] = (line["scores"][metric] + rng.uniform(0.01, 1)) % 1.0001
            elif kind == 1:
                lines.remove(line)
            else:
                line["id"] = rng.choice([other["id"] for other in lines if other["id"] != line["id"]])
            put(members, lines)

        assert not verify(changed(archive, tmp_path / "x.zip", edit)).holds


def test_the_published_schema_is_that_of_the_models() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "finer_tasks.submission.models"], capture_output=True, text=True, check=True
    )  # fmt: skip
    stored = Path(str(__import__("finer_tasks").__path__[0])) / "submission/schema.json"
    assert stored.read_text() == json_schema() == made.stdout


def test_the_digest_is_that_of_the_manifest(archive: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        assert verify(archive).digest == hashlib.sha256(opened.read("manifest.json")).hexdigest()
