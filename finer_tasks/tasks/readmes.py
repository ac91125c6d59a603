"""The README of a dataset's tasks, as a harness expects one: paper, citation, tasks, checklist and changelog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from finer_tasks.datasets.reader import Paper
from finer_tasks.datasets.registry import READERS
from finer_tasks.tasks.table import VARIANTS, list_groups, list_tasks
from finer_tasks.tasks.versions import history

FINER = Paper(
    "Finer: Investigating and Enhancing Fine-Grained Visual Concept Recognition in Large Vision Language Models",
    "https://arxiv.org/abs/2402.16315",
    """\
@inproceedings{kim2024finer,
  title = {{Finer}: Investigating and Enhancing Fine-Grained Visual Concept Recognition in
           Large Vision Language Models},
  author = {Kim, Jeonghwan and Ji, Heng},
  booktitle = {EMNLP},
  year = {2024}
}""",
)


def readme(dataset: str) -> str:
    """The README of a dataset, in Markdown."""
    reader = READERS[dataset]
    origin, papers = reader.origin, [FINER, *filter(None, [reader.origin.paper])]
    parts = [
        "<!-- Written by `python -m finer_tasks.tasks.generate`. -->",
        f"# {origin.title}",
        _introduction(dataset),
        "## Paper",
        "\n".join(f"- [{paper.title}]({paper.address})" for paper in papers),
        f"- Homepage of the dataset: {origin.home}\n- Terms: {origin.terms}",
        "## Citation",
        *(f"```bibtex\n{paper.bibtex}\n```" for paper in papers),
        "## Groups and tasks",
        "\n".join(_groups(dataset)),
        "\n".join(_tasks(dataset)),
        "## Checklist",
        "\n".join(_checklist(dataset)),
        "## Changelog",
        "\n".join(_changelog(dataset)),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(dataset: str) -> str:
    reader = READERS[dataset]
    counts = ", ".join(f"{count:,} {split}" for split, count in reader.official.items())
    part = "a dataset of the FINER benchmark" if reader.benchmark else "no part of the benchmark"
    part = f"built in, {part}" if reader.built_in else part
    return (
        f"{reader.source}, {part}: {reader.classes:,} classes, images {counts}. Each is asked for at superordinate, coarse "
        f"and fine level. `finer doctor {dataset}` checks the prepared copy."
    )


def _groups(dataset: str) -> Iterator[str]:
    own, groups = f"finer_{dataset}", list_groups()
    members = {task.name for task in list_tasks() if task.dataset == dataset} | {own}
    over_datasets = [name for name, group in groups.items() if name != own and members & set(group)]
    yield f"- `{own}`: {_quoted(groups[own])}"
    if over_datasets:
        yield f"- Groups over datasets that hold tasks of this one: {_quoted(over_datasets)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _tasks(dataset: str) -> Iterator[str]:
    notes = {variant.name: variant.note for variant in VARIANTS}
    yield "| task | version | what is asked |"
    yield "|---|---|---|"
    for task in list_tasks():
        if task.dataset == dataset:
            yield f"| `{task.name}` | {task.version} | {notes[task.way].format(level=task.level)} |"


def _checklist(dataset: str) -> Iterator[str]:
    if READERS[dataset].built_in:
        yield "- [ ] Is the task an existing benchmark of the literature? No: it is a miniature to try everything on."
    elif not READERS[dataset].benchmark:
        yield "- [ ] Is the task an existing benchmark of the literature? No, FINER does not use the dataset."
    else:
        yield "- [x] Is the task an existing benchmark of the literature? Yes, the papers are above."
        yield (
            "- [ ] Are the labels those of the paper, to the letter? No, every class was reviewed anew; the authors' own files "
            f"can be read instead (`finer prepare {dataset} --from-unified`)."
        )
    yield (
        "- [x] Is the reference compared? `em` and `f1` follow the rules of the authors' evaluation and are held against a "
        "second, literal implementation of them (`tests/scoring/test_classification.py`). `em_strict` is this project's own; "
        "`docs/em_strict.md` has its agreement with verdicts by hand."
    )
    yield (
        "- [ ] Are the figures of the paper met by the paper's models? Not measured. The questions are worded anew, so that "
        "figures of the paper and of these tasks should not be mixed."
    )
    yield "- [x] Are the versions raised where scores changed? Yes, see below."


def _changelog(dataset: str) -> Iterator[str]:
    for entry in history(dataset):
        yield f"- finer-tasks {entry.release}: tasks that ask for a name {entry.names}, for lists of attributes {entry.lists}"
        yield from (f"  - {reason}" for reason in entry.reasons)
    yield "- finer-tasks 0.1.0: all tasks 1.0, the first version"
