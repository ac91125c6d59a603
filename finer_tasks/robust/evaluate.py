"""Evaluating a model at several severities, a run of lmms-eval for each, of which those that are there are kept.

DIR/plan.json            what is evaluated, and what must not change until all severities are there
DIR/published/           the run on the images as published
DIR/occlusion-3/         the run at severity 3
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finer_tasks.datasets.perturb import SEVERITIES, VARIABLE, Perturbation, parse, require_as_published
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.errors import ResultsError
from finer_tasks.models.arguments import model_arguments
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.parsing import parse_json
from finer_tasks.runs.evaluate import run_lmms_eval
from finer_tasks.scoring import SCORING_VERSION
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.tasks.table import tasks_by_name
from finer_tasks.writing import locked, write_text

_PLAN, _PUBLISHED = "plan.json", "published"
_ATTRSEEK = "_attrseek"


@dataclass(frozen=True)
class Request:
    """What to evaluate: direct tasks, and with each of them AttrSeek where there is such a task."""

    model: str
    model_args: str
    tasks: tuple[str, ...]
    perturbations: tuple[Perturbation, ...]
    batch_size: str = "1"
    limit: int | None = None


def perturbations_of(names: Sequence[str], severities: Sequence[str], seed: int) -> tuple[Perturbation, ...]:
    """Every named perturbation at every severity, all of them where none is given; raises PerturbationError."""
    wanted = severities or [str(severity) for severity in SEVERITIES]
    return tuple(dict.fromkeys(parse(f"{name}:{severity}:{seed}") for name in names for severity in wanted))


def evaluate_severities(request: Request, folder: Path) -> list[Path]:
    """Evaluate what is not there yet below a folder; returns the folders of all runs.

    Raises ResultsError where the folder holds another plan, or lmms-eval fails; what was evaluated before is kept.
    """
    require_as_published("`finer robust --model` sets it for each severity and")
    names = _all_tasks(request.tasks)
    with locked(folder):
        _claim(_plan(request, names), folder)
        found = []
        for name, setting in {_PUBLISHED: "", **{_folder_name(one): str(one) for one in request.perturbations}}.items():
            found.append(folder / name)
            if not any((folder / name).rglob("*_results.json")):
                run_lmms_eval(
                    folder / name, request.model, request.model_args, names, request.batch_size, request.limit,
                    variables={VARIABLE: setting},
                )  # fmt: skip
        return found


def _folder_name(perturbation: Perturbation) -> str:
    return str(perturbation).replace(":", "-")


def _all_tasks(direct: Sequence[str]) -> list[str]:
    """The tasks, and AttrSeek beside each; raises ResultsError for one that is no direct task."""
    known = tasks_by_name()
    for name in direct:
        if name not in known or known[name].way != "direct":
            raise ResultsError(f"--tasks {','.join(direct)}: {name!r} is no direct task. Give such as finer_mini_fine")
    return [name for task in direct for name in (task, task + _ATTRSEEK) if name in known]


def _plan(request: Request, names: Sequence[str]) -> dict[str, Any]:
    """What makes the answers, in words of JSON; severities may be added."""
    datasets = sorted({tasks_by_name()[name].dataset for name in names})
    return {
        "model": request.model,
        "model_args": request.model_args,
        "weights": weights_fingerprint(model_arguments(request.model_args)),
        "tasks": list(names),
        "limit": request.limit,
        "prompts": active_prompt_set().hash,
        "data": {name: ensure_prepared(name).manifest.contents.get("test") for name in datasets},
        "scoring": SCORING_VERSION,
    }


def _claim(plan: Mapping[str, Any], folder: Path) -> None:
    """Write the plan, or find the same one there; raises ResultsError for another, or for a folder of other things."""
    path = folder / _PLAN
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ResultsError(f"{folder} is not empty and holds no {_PLAN}; give another --runs")
        write_text(path, json.dumps(plan, indent=2) + "\n")
        return
    try:
        there = parse_json(path.read_bytes())
    except ValueError as error:
        raise ResultsError(f"{path} is damaged ({error}); give another --runs") from error
    if there != plan:
        differing = [key for key in plan if not isinstance(there, dict) or there.get(key) != plan[key]]
        raise ResultsError(f"{folder} holds evaluations with another {', '.join(differing)}; give another --runs")
