"""`finer leaderboard build`: submissions → a static site that works from a folder, without a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
from loguru import logger
from tqdm import tqdm

import finer_tasks
from finer_tasks.errors import FinerError, ResultsError, logged
from finer_tasks.leaderboard.published import Published
from finer_tasks.leaderboard.standings import boards
from finer_tasks.runs.pages import page_environment
from finer_tasks.submission.verify import Verified, verify
from finer_tasks.text import harmless
from finer_tasks.writing import replacing

_MARK = ".finer-leaderboard"
_OWN = re.compile(rf"{re.escape(_MARK)}|index\.html|submission-[0-9a-f]{{16}}\.html")


def build_site(submissions: Path, output: Path, published: Sequence[Published]) -> tuple[list[Verified], list[str]]:
    """Verify all archives of a folder and write the site; returns those shown, and why others are not.

    Replaces an earlier site of this command; raises ResultsError for anything else in its place.
    """
    paths = sorted(submissions.glob("*.zip"))
    if not paths:
        raise ResultsError(f"{submissions} holds no *.zip; make submissions with `finer submit pack`")
    if foreign := _foreign(output):
        raise ResultsError(f"{foreign} is no part of a leaderboard of ours and would be lost; give another --output")
    shown, refused = _verified(paths)
    if not shown:
        raise ResultsError("no submission verifies: " + "; ".join(refused))
    with replacing(output) as fresh:
        fresh.mkdir()
        (fresh / _MARK).touch()
        _write(fresh, shown, refused, published)
    return shown, refused


def _foreign(output: Path) -> Path | None:
    """Something in the output's place that an earlier run of this command did not write: a site is replaced as a whole."""
    if not output.is_dir():
        return output if output.exists() else None
    is_site = (output / _MARK).exists()
    return next((path for path in sorted(output.iterdir()) if not (is_site and _OWN.fullmatch(path.name))), None)


def page_of(found: Verified) -> str:
    """The file name of a submission's page: nothing that a submitter chose."""
    return f"submission-{found.digest[:16]}.html"


def _verified(paths: Sequence[Path]) -> tuple[list[Verified], list[str]]:
    """The submissions to show, and why the others are not shown; whatever one of them does, it is alone in that."""
    held: list[Verified] = []
    refused = []
    for path in tqdm(paths, desc="submissions", disable=None):
        try:
            found = verify(path)
        except FinerError as error:
            refused.append(harmless(f"{path.name}: {error}"))
        except Exception as error:
            refused.append(harmless(f"{path.name}: unexpected {type(error).__name__}. {logged(error)}"))
        else:
            if found.holds:
                held.append(found)
            else:
                more = " and more" if len(found.problems) > 1 else ""
                refused.append(harmless(f"{path.name}: {found.problems[0]}{more}"))
    shown: list[Verified] = []
    for found in sorted(held, key=lambda one: (-len(one.submission.tasks), one.path.name)):
        other = next((other for other in shown if _same_answers(found, other)), None)
        if other is None:
            shown.append(found)
        else:
            refused.append(harmless(f"{found.path.name}: the same answers are there as {other.path.name}"))
    for reason in refused:
        logger.warning(f"not shown: {reason}")
    return shown, refused


def _same_answers(found: Verified, other: Verified) -> bool:
    """Whether a submission's answers are all among another's: one model's under another name or revision."""
    return found.digest == other.digest or (
        bool(found.same) and all(other.same.get(task) == digest for task, digest in found.same.items())
    )


def _write(folder: Path, shown: Sequence[Verified], refused: Sequence[str], published: Sequence[Published]) -> None:
    templates = resources.files("finer_tasks.leaderboard") / "templates"
    with resources.as_file(templates) as path:
        environment = page_environment(jinja2.FileSystemLoader(path))
        common = {"version": finer_tasks.__version__, "page_of": page_of}
        index = environment.get_template("index.html.j2")
        text = index.render(**common, boards=boards(shown), refused=refused, published=published, count=len(shown))
        (folder / "index.html").write_text(text, encoding="utf-8")
        page = environment.get_template("submission.html.j2")
        for found in shown:
            (folder / page_of(found)).write_text(page.render(**common, found=found), encoding="utf-8")
