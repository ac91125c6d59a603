"""Writes task_yamls/ from the table of tasks: `python -m finer_tasks.tasks.generate`, with --check to compare only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from finer_tasks.datasets.registry import DATASETS, dataset_names
from finer_tasks.errors import FinerError, exit_code_of
from finer_tasks.scoring.candidates import LEAD
from finer_tasks.tasks.readmes import readme
from finer_tasks.tasks.table import (
    DIRECT,
    HOOKS,
    NAMING,
    VARIANTS,
    Metric,
    TaskInfo,
    Variant,
    list_groups,
    task_name,
    tasks_of,
)
from finer_tasks.writing import write_text

_HOOKS = f"!function {HOOKS}."
# Part of the package itself, not of the tasks.
_KEPT = {"__init__.py"}
_BASE = """\
# What all tasks share. dataset_path in a task is the name of the dataset.
test_split: test
output_type: generate_until
doc_to_visual: {hooks}doc_to_visual
doc_to_text: {hooks}doc_to_text
generation_kwargs:
  max_new_tokens: 64
  do_sample: false
  temperature: 0
  num_beams: 1
  until: ["</s>"]
filter_list:
  - name: none
    filter: [{{function: !function finer_tasks.tasks.rounds.FirstReply}}]
cluster_key: concept_id
metric_list:
{metrics}
"""
_LONG = '{max_new_tokens: 256, do_sample: false, temperature: 0, num_beams: 1, until: ["</s>"]}'


class StaleTasksError(FinerError):
    """What lies in task_yamls/ is not what the table of tasks gives."""


def task_folder() -> Path:
    """Where the task YAMLs lie, in a wheel as in a checkout."""
    return Path(str(resources.files("finer_tasks.task_yamls")))


def files() -> dict[str, str]:
    """The text of every file below task_yamls/ by its path."""
    found = _templates()
    for dataset in DATASETS:
        found |= {f"{dataset}/{name}": text for name, text in _files_of(dataset, "../_templates").items()}
        found[f"{dataset}/README.md"] = readme(dataset)
    over_datasets = (name for name in list_groups() if name.removeprefix("finer_") not in dataset_names())
    return found | {f"groups/{name}.yaml": _group(name, list_groups()[name]) for name in over_datasets}


def own_files(dataset: str) -> dict[str, str]:
    """The text of every file in the folder of tasks of a dataset of the user's own, whole without this package's folder."""
    return _templates() | _files_of(dataset, "_templates")


def _templates() -> dict[str, str]:
    found = {"_templates/direct": _BASE.format(hooks=_HOOKS, metrics="\n".join(_metrics(NAMING)))}
    for variant in VARIANTS:
        found |= {f"_templates/{variant.template(level)}": _lines(_template(variant, level)) for level in variant.levels}
    return found


def _files_of(dataset: str, templates: str) -> dict[str, str]:
    """The tasks of a dataset and the group of its direct ones; `templates` is their folder seen from that of the tasks."""
    tasks = tasks_of(dataset)
    group, direct = f"finer_{dataset}", [task_name(dataset, DIRECT, level) for level in DIRECT.levels]
    return {f"{task.name}.yaml": _task(task, templates) for task in tasks} | {f"{group}.yaml": _group(group, direct)}


def differences(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """What is missing in a folder, differs, or lies there beside, each as a phrase."""
    there = {path.relative_to(folder).as_posix(): path for path in _present(folder)}
    missing = [f"{name} is missing" for name in wanted if name not in there]
    other = [f"{name} differs" for name in wanted if name in there and there[name].read_bytes() != wanted[name].encode()]
    return missing + other + [f"{name} is in no table" for name in there if name not in wanted]


def write(folder: Path, wanted: Mapping[str, str]) -> int:
    """Write every file that is missing or differs; returns their number. What else lies there stays, see `differences`."""
    stale = {
        folder / name: text
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
    }
    for path, text in stale.items():
        write_text(path, text)
    return len(stale)


def _present(folder: Path) -> Iterator[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return (path for path in sorted(paths) if path.name not in _KEPT)


def _template(variant: Variant, level: str) -> Iterator[str]:
    """The lines of a template: what sets its tasks apart from those of the template that it includes."""
    yield f"# {variant.note.format(level=level)}"
    yield f"include: {variant.includes or ('direct' if variant is DIRECT else level)}"
    if variant.next_question:
        yield "output_type: generate_until_multi_round"
    if variant.choices:
        yield "output_type: multiple_choice"
        yield f'target_delimiter: "{LEAD}"'
        yield "generation_kwargs: null"
    if not variant.image:
        yield "doc_to_visual: null"
    functions = {
        "doc_to_text": variant.next_question,
        "doc_to_messages": variant.conversation,
        "doc_to_target": "{level}_target" if variant is DIRECT else "",
        "doc_to_choice": variant.choices,
        "process_results": variant.scorer,
    }
    yield from (f"{key}: {_HOOKS}{name.format(level=level)}" for key, name in functions.items() if name)
    if variant.long:
        yield f"generation_kwargs: {_LONG}"
    yield f"lmms_eval_specific_kwargs: {_flow(variant.settings(level))}"
    if variant.metrics:
        yield "metric_list:"
        yield from _metrics(variant.metrics)


def _task(task: TaskInfo, templates: str) -> str:
    template = task.name.removeprefix(f"finer_{task.dataset}_")
    return _lines(
        [
            f"include: {templates}/{template}",
            f"task: {task.name}",
            f"dataset_path: {task.dataset}",
            f"metadata: {{version: {task.version}}}",
        ]
    )


def _group(name: str, members: Iterable[str]) -> str:
    return _lines([f"group: {name}", "task:", *(f"  - {member}" for member in members)])


def _metrics(metrics: Iterable[Metric]) -> Iterator[str]:
    for metric in metrics:
        better = str(metric.higher_is_better).lower()
        yield f"  - {{metric: {metric.name}, aggregation: {_HOOKS}{metric.aggregation}, higher_is_better: {better}}}"


def _flow(settings: Mapping[str, str | bool]) -> str:
    texts = (f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items())
    return f"{{{', '.join(texts)}}}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Write the files, or compare them with --check; 2 where they are not what the table gives."""
    parser = argparse.ArgumentParser(prog="python -m finer_tasks.tasks.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args(argv)
    folder = task_folder()
    try:
        if not arguments.check:
            print(f"{write(folder, files())} files written below {folder}")
        if found := differences(folder, files()):
            fix = "Run: python -m finer_tasks.tasks.generate" if arguments.check else "Remove what is in no table"
            raise StaleTasksError(f"{folder}: {len(found)} files are not as the table says: {', '.join(found[:5])}. {fix}")
    except (FinerError, OSError) as error:
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
