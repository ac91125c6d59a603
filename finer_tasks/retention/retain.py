"""From states and tasks to the curves of gain and forgetting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finer_tasks.errors import ResultsError
from finer_tasks.retention.comparison import Curve, Role, curves, of_task, of_texts
from finer_tasks.retention.evaluations import Settings, evaluate, measure_texts, request, text_options
from finer_tasks.retention.scores import Scores, read_scores
from finer_tasks.retention.states import BEFORE, State
from finer_tasks.retention.texts import TextSet
from finer_tasks.writing import as_json, locked, write_text

FORMAT = 1


@dataclass(frozen=True)
class Request:
    """What is measured: tasks that tuning is meant to help, tasks to be retained, sets of texts; metrics by task."""

    gain: tuple[str, ...]
    retained: tuple[str, ...]
    texts: tuple[TextSet, ...]
    metrics: Mapping[str, str]
    margin: float

    def check(self) -> None:
        """Raise ResultsError where nothing is measured, or one thing twice."""
        if not (self.gain or self.retained or self.texts):
            raise ResultsError("nothing to measure: give --tasks, --gain or --texts")
        if both := sorted(set(self.gain) & set(self.retained)):
            raise ResultsError(f"{both[0]} is in --gain and in --tasks; give it once")
        names = [one.name for one in self.texts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ResultsError(f"--texts: two sets are named {twice[0]}; rename a file")


def retain(states: Sequence[State], wanted: Request, settings: Settings, folder: Path) -> list[Curve]:
    """Measure what is not measured yet and compare; writes retention.json and flips.jsonl. Raises ResultsError."""
    wanted.check()
    for state in states if wanted.texts else ():
        text_options(state, settings)  # before any evaluation takes its time
    _require_own(folder)
    with locked(folder):
        tasks = list(dict.fromkeys((*wanted.gain, *wanted.retained)))
        by_state, roles = _scores(states, tasks, wanted, settings, folder)
        losses = {s.name: measure_texts(s, wanted.texts, settings, folder) for s in states} if wanted.texts else {}
        measures = [of_task({s.name: by_state[s.name][task] for s in states}, role) for task, role in roles.items()]
        measures += [of_texts(one.name, {name: found[one.name] for name, found in losses.items()}) for one in wanted.texts]
        found = curves(measures, states, wanted.margin)
        record = {
            "format": FORMAT,
            "margin": wanted.margin,
            "states": [{"state": state.name, "step": state.step} | request(state, settings) for state in states],
            "texts": {one.name: one.hash for one in wanted.texts},
            "window": settings.window,
            "curves": [asdict(curve) for curve in found],
        }
        write_text(folder / "retention.json", as_json(record) + "\n")
        write_text(folder / "flips.jsonl", "".join(json.dumps(flip, ensure_ascii=False) + "\n" for flip in _flips(by_state)))
    return found


def _require_own(folder: Path) -> None:
    """Raise ResultsError for a folder of other things, whose files might have the names of ours."""
    there = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    if there and not {"evaluations", "texts", "retention.json"} & set(there):
        raise ResultsError(f"{folder} holds files that are not of finer retention. Give another --output")


def _scores(
    states: Sequence[State], tasks: Sequence[str], wanted: Request, settings: Settings, folder: Path
) -> tuple[dict[str, dict[str, Scores]], dict[str, Role]]:
    """Scores by state and single task, and the role of each."""
    by_state: dict[str, dict[str, Scores]] = {}
    groups: dict[str, list[str]] = {}
    for state in states if tasks else ():
        found: dict[str, Scores] = {}
        for place in evaluate(state, tasks, settings, folder):
            scores, of_groups = read_scores(place, wanted.metrics)
            found |= scores
            groups |= of_groups
        by_state[state.name] = found
    gain, retained = (_single(names, groups) for names in (wanted.gain, wanted.retained))
    known = by_state.get(BEFORE, {})
    for name in (*gain, *retained, *wanted.metrics):
        if name not in known:
            raise ResultsError(f"{name} is no task that was evaluated; they are {', '.join(known)}")
    roles: dict[str, Role] = dict.fromkeys(gain, "gain")
    roles |= dict.fromkeys(retained, "retained")
    return {state: {name: found[name] for name in roles} for state, found in by_state.items()}, roles


def _single(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The single tasks of names, groups taken apart."""
    found: dict[str, None] = {}
    for name in names:
        inner = [one for one in groups.get(name) or () if one != name]
        found |= dict.fromkeys(_single(inner, groups) if inner else [name])
    return list(found)


def _flips(by_state: Mapping[str, Mapping[str, Scores]]) -> list[dict[str, Any]]:
    """Documents whose score is another than before, by state and task."""
    found = []
    for state, tasks in by_state.items():
        for name, now in tasks.items():
            before = by_state[BEFORE][name]
            for identity, old, new, said, says in zip(
                now.ids, before.values, now.values, before.answers, now.answers, strict=True
            ):
                if old != new:
                    scores = {"before": float(old), "now": float(new), "answer_before": said, "answer_now": says}
                    found.append({"state": state, "task": name, "doc_id": identity} | scores)
    return found
