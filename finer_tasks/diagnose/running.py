"""What a diagnosis needs is run where it is not there yet: lmms-eval's tasks in one call, then the probe.

The folder of a diagnosis holds `asked.json` (which model, data and documents it is of), `runs/` and `probe/`. Each step is
kept whole or not at all, so that a call that was cut off, or one for more levels, goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.seen import seen_data
from finer_tasks.errors import KnowledgeError, ModelError, ResultsError
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.models.loading import LoadOptions
from finer_tasks.parsing import differing_keys
from finer_tasks.probe.results import SUMMARY, read_probe
from finer_tasks.probe.running import Wanted, run_probe
from finer_tasks.runs.evaluate import run_lmms_eval
from finer_tasks.runs.reading import Run, read_run
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.tasks.table import list_tasks
from finer_tasks.writing import as_json, replacing, write_text

ASKED, RUNS, PROBE = "asked.json", "runs", "probe"
ARMS = ("direct", "closed", "text", "attributes")


def run_missing(options: LoadOptions, wanted: Wanted, output: Path) -> tuple[list[Run], Path]:
    """The runs and the probe of a diagnosis, made where they are missing; raises what lmms-eval or the probe cannot do."""
    tasks = tasks_of(wanted.dataset, wanted.levels)
    _claim(output, options, wanted)
    runs = [read_run(folder) for folder in sorted((output / RUNS).glob("*"))]
    if missing := [name for name in tasks if name not in {task.name for run in runs for task in run.tasks}]:
        with replacing(output / RUNS / f"{len(runs):02d}") as fresh:
            fresh.mkdir()
            run_lmms_eval(fresh, "finer_hf", _arguments(options), missing, str(wanted.batch_size), wanted.limit)
        runs.append(read_run(output / RUNS / f"{len(runs):02d}"))
    if not _is_probed(output / PROBE, wanted):
        run_probe(options, wanted, output / PROBE)
    return runs, output / PROBE


def tasks_of(dataset: str, levels: Collection[str]) -> list[str]:
    """The direct question, the closed set, the text arm and attribute generation, as far as the dataset has them."""
    try:
        load_knowledge(dataset)
        has_attributes = True
    except KnowledgeError:
        has_attributes = False
    return [
        task.name
        for task in list_tasks()
        if task.dataset == dataset and task.level in levels and task.way in ARMS and (has_attributes or not task.attributes)
    ]


def _claim(output: Path, options: LoadOptions, wanted: Wanted) -> None:
    """Make the folder one for this model, these data and documents; raises ResultsError where it is of others."""
    prompts = active_prompt_set()
    asked: dict[str, Any] = {
        "kind": "finer-diagnosis-asked",
        "model": options.label,
        "weights": weights_fingerprint({"pretrained": options.pretrained, "peft": options.peft, "revision": options.revision}),
        "dtype": options.dtype,
        "dataset": wanted.dataset,
        "data": seen_data(ensure_prepared(wanted.dataset), "test")["data_fingerprint"],
        "prompts": prompts.hash,
        "limit": wanted.limit,
        "per_concept": wanted.per_concept,
        "seed": wanted.seed,
    }
    path = output / ASKED
    if not path.exists():
        if output.exists() and any(output.iterdir()):
            raise ResultsError(f"{output} holds files that are not of a diagnosis. Give another --output")
        write_text(path, as_json(asked) + "\n")
        return
    try:
        differing = differing_keys(path, asked)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}). Remove {output}, or give another --output") from error
    if differing:
        raise ResultsError(
            f"{output} holds another diagnosis: {', '.join(differing)} differ. Give another --output, or remove it"
        )


def _arguments(options: LoadOptions) -> str:
    defaults = asdict(LoadOptions(options.pretrained))
    chosen = {key: value for key, value in asdict(options).items() if key == "pretrained" or value != defaults[key]}
    for key, value in chosen.items():
        if "," in str(value) or "=" in str(value):
            raise ModelError(f"--{key.replace('_', '-')} {value}: lmms-eval takes no comma and no equals sign in a name")
    return ",".join(f"{key}={value}" for key, value in chosen.items())


def _is_probed(folder: Path, wanted: Wanted) -> bool:
    """Whether the probe is there with all levels; one of other settings is refused by `_claim`."""
    return (folder / SUMMARY).exists() and set(wanted.levels) <= set(read_probe(folder).levels)


def ordered(levels: Sequence[str]) -> list[str]:
    """Levels from the finest, coarse and fine without any; raises ResultsError for one that there is not."""
    if unknown := sorted(set(levels) - set(LEVELS)):
        raise ResultsError(f"--levels {unknown[0]}: no level. Give {', '.join(LEVELS)}")
    return [level for level in reversed(LEVELS) if level in (levels or ("coarse", "fine"))]
