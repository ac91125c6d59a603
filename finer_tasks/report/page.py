"""`finer report`: runs → one HTML file to show and to look through."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import finer_tasks
from finer_tasks.errors import FinerError
from finer_tasks.gap.comparison import Gap, gaps
from finer_tasks.plotting import pyplot
from finer_tasks.report.figures import Confusion, DatasetReport, OtherRow, dataset_reports, other_rows
from finer_tasks.runs.multiple_choice import ChoiceRow, choice_rows
from finer_tasks.runs.pages import page_environment
from finer_tasks.runs.reading import Run, TaskRun, require_alike
from finer_tasks.runs.rescore import by_this_version
from finer_tasks.runs.samples import Sample
from finer_tasks.runs.summary import AttributeRow, attribute_rows
from finer_tasks.runs.thumbnails import terms_of_pictures, thumbnail
from finer_tasks.scoring import NAMING_SCORES, SCORING_VERSION
from finer_tasks.text import harmless
from finer_tasks.writing import write_text

_ABSOLUTE = re.compile(r"(?<![^=, (])/[^,)]+")
_GALLERY = 12
_SIDE = 192
_LONGEST = 160


@dataclass(frozen=True)
class Picture:
    """A document of the gallery."""

    document: str
    image: str
    label: str
    answer: str
    right: bool
    reason: str


@dataclass(frozen=True)
class RunReport:
    """One run: a label no longer than needed, and its parts."""

    label: str
    run: Run
    datasets: list[DatasetReport]
    attributes: list[AttributeRow]
    others: list[OtherRow]
    choices: list[ChoiceRow]
    gaps: list[Gap]
    gallery: list[Picture]
    terms: list[str]
    notes: list[str]


def write_report(runs: Sequence[Run], output: Path) -> None:
    """Write the page under a temporary name, then rename; raises ResultsError if the runs' versions of lmms-eval differ."""
    theirs = [run.settings.get("lmms_eval_version") for run in runs if "imported" not in run.tasks[0].identity]
    require_alike("versions of lmms-eval", theirs or [None], "report them apart")
    runs = [by_this_version(run) for run in runs]
    reports = [_report(run, label) for run, label in zip(runs, labels(runs), strict=True)]
    folder = resources.files("finer_tasks.report")
    text = (
        page_environment()
        .from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
        .render(
            reports=reports,
            metrics=NAMING_SCORES,
            script=(folder / "report.js").read_text(encoding="utf-8"),
            heat_map=heat_map,
            packed=packed,
            version=finer_tasks.__version__,
        )
    )
    write_text(output, text)


def labels(runs: Sequence[Run]) -> list[str]:
    """The models' names, folders of this machine by their last part; numbered if they are equal otherwise."""
    short = [_ABSOLUTE.sub(lambda match: Path(match.group()).name, run.model).replace(" ()", "") for run in runs]
    return [f"{number}: {name}" for number, name in enumerate(short, start=1)] if len(set(short)) < len(short) else short


def _report(run: Run, label: str) -> RunReport:
    try:
        found = gaps([run])
    except FinerError:
        found = []  # no text arm, or arms on other documents: then there is no gap to show
    found = [gap for gap in found if len(gap.arms) > 1]
    datasets = dataset_reports(run)
    tasks = {task.name: task for task in run.tasks}
    pictures = [picture for report in datasets for picture in _gallery(tasks[report.task])]
    terms = terms_of_pictures(picture.document for picture in pictures if picture.image)
    return RunReport(
        label, run, datasets, attribute_rows(run), other_rows(run), choice_rows(run), found, pictures, terms, notes_of(run)
    )


def notes_of(run: Run) -> list[str]:
    """What a reader must know about the figures: older scoring, a part of a split, documents without an answer."""
    older = sorted({str(task.identity["scored_first"]) for task in run.tasks if "scored_first" in task.identity})
    notes = [run.origin] if run.origin else []
    notes += [f"scored anew by version {SCORING_VERSION}, first by {', '.join(older)}"] if older else []
    for task in run.tasks:
        notes += [f"{task.name}: on {task.part} only, not comparable with published figures"] if task.part else []
        counts = ", ".join(f"{count} x {reason}" for reason, count in task.unanswered.items())
        notes += [f"{task.name}: documents without an answer of the model, counted as wrong: {counts}"] if counts else []
    return notes


def _gallery(task: TaskRun) -> list[Picture]:
    """Right and wrong answers, spread evenly over the documents."""
    shown = []
    for right in (False, True):
        some = [sample for sample in task.samples if (sample.items["em"]["score"] == 1.0) == right]
        step = max(1, len(some) // _GALLERY)
        shown += [_picture(sample, task.identity) for sample in some[::step][:_GALLERY]]
    return shown


def _picture(sample: Sample, identity: Mapping[str, Any]) -> Picture:
    document = sample.record["id"]
    right = sample.items["em"]["score"] == 1.0
    image, label = thumbnail(document, identity, _SIDE), str(sample.record["fine"][0])
    return Picture(document, image, label, sample.answer[:_LONGEST], right, sample.reason)


def packed(report: RunReport) -> str:
    """All documents as gzipped JSON in base64: the page unpacks them when they are asked for."""
    tasks = []
    for task in report.run.tasks:
        if not task.names_concepts:
            continue
        tasks.append(
            {
                "task": task.name,
                "id": [sample.record["id"] for sample in task.samples],
                "label": [harmless(sample.record["fine"][0]) for sample in task.samples],
                "coarse": [harmless(sample.record["coarse"][0]) for sample in task.samples],
                "answer": [harmless(sample.answer[:_LONGEST], keep="\n") for sample in task.samples],
                "em": [sample.items["em"]["score"] for sample in task.samples],
                "reason": [sample.reason for sample in task.samples],
            }
        )
    content = json.dumps(tasks, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def heat_map(confusion: Confusion) -> str:
    """The clustered counts as a PNG in base64."""
    plt = pyplot()

    size = max(4.5, 0.19 * len(confusion.names) + 2.5)
    figure, axis = plt.subplots(figsize=(size, size * 0.92), layout="constrained")
    drawn = axis.imshow(confusion.counts, cmap="Blues", interpolation="nearest")
    ticks: Any = range(len(confusion.names))
    axis.set_xticks(ticks, confusion.names, rotation=90, fontsize=7)
    axis.set_yticks(ticks, confusion.names, fontsize=7)
    for name in (*axis.get_xticklabels(), *axis.get_yticklabels()):
        name.set_parse_math(False)  # a "$" in a name is a dollar
    axis.set_xlabel("named")
    axis.set_ylabel("true concept")
    figure.colorbar(drawn, ax=axis, shrink=0.6, label="documents")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()
