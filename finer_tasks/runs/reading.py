"""Reading a run that lmms-eval wrote with `--output_path OUT --log_samples`.

Everything that the rest of the package relies on is checked here, once: which tasks there are and what
identifies them, that every document has all figures of its task, and that these are numbers in their range.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from loguru import logger
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from finer_tasks.datasets.registry import known_dataset
from finer_tasks.errors import ResultsError
from finer_tasks.parsing import explain, parse_json
from finer_tasks.replies import ROUNDS, Unanswered
from finer_tasks.runs.samples import Sample, read_samples
from finer_tasks.scoring.candidates import CANDIDATES
from finer_tasks.scoring.closed import KINDS
from finer_tasks.scoring.multiple_choice import OFFERED
from finer_tasks.scoring.task_kinds import CLOSED, LISTS, NAMING, OPTIONS, OPTIONS_BY_LIKELIHOOD, TaskKind, kind_of
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.text import harmless

ENDING = "_results.json"
_DATE = re.compile(r"\d{8}_\d{6}")
# Part of a path. Tasks that users make of our templates have names of their own.
_TASK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHOWN = 5
# Arguments of requests that say what is asked for, and not how it is decoded.
_NOT_DECODING = (ROUNDS, CANDIDATES, OFFERED)


@dataclass(frozen=True)
class TaskRun:
    """One task of a run: what identifies it, and its samples. Attribute tasks are scored by list, not by name.

    `of` is how many documents its split has; 0 for all that are there.
    """

    name: str
    identity: Mapping[str, Any]
    generation: Mapping[str, Any]
    samples: tuple[Sample, ...]
    of: int = 0

    @property
    def kind(self) -> TaskKind:
        """The kind of task that its figures are of."""
        return kind_of(self.samples[0].items if self.samples else ())

    @property
    def names_concepts(self) -> bool:
        return bool(self.samples) and self.kind is NAMING

    @property
    def scores_names(self) -> bool:
        """Whether all names of the level were scored, and none generated."""
        return bool(self.samples) and self.kind is CLOSED

    @property
    def offers_options(self) -> bool:
        """Whether one of several options was to be chosen, by an answer or by likelihood."""
        return bool(self.samples) and self.kind in (OPTIONS, OPTIONS_BY_LIKELIHOOD)

    @property
    def kinds(self) -> list[str]:
        """The scores by which a closed set ranks the names of every document; none for other tasks."""
        return [kind for kind in KINDS if all(f"closed_top1_{kind}" in sample.items for sample in self.samples)]

    @property
    def lists_attributes(self) -> bool:
        return bool(self.samples) and self.kind is LISTS

    @property
    def clusters(self) -> Clusters:
        """The samples by concept."""
        return Clusters.of([str(sample.record["concept_id"]) for sample in self.samples])

    @property
    def main_scores(self) -> tuple[str, ...]:
        """The names of the scores that are shown where few are."""
        return self.kind.main

    def scores(self, metric: str) -> Floats:
        """A score of every sample."""
        return np.array([sample.score(metric) for sample in self.samples])

    @property
    def unanswered(self) -> dict[Unanswered, int]:
        """How many documents have no answer of the model, by reason."""
        return dict(sorted(Counter(sample.unanswered for sample in self.samples if sample.unanswered).items()))

    @property
    def part(self) -> str:
        """What the task was run on if that is not the whole split of the whole dataset, else nothing."""
        parts = []
        if len(self.samples) < self.of:
            parts.append(f"{len(self.samples)} of {self.of} documents")
        doubtful = "split that is not known to be the official one"
        official = self.identity.get("data_official", True)  # older versions did not say
        if self.identity.get("data_partial"):
            parts.append("a partial copy of the dataset" + (f" with a {doubtful}" if not official else ""))
        elif not official:
            parts.append(f"a {doubtful}")
        if perturbation := self.identity.get("perturbation"):
            parts.append(f"images perturbed by {harmless(perturbation['name'])} of severity {perturbation['severity']}")
        return " of ".join(parts)


@dataclass(frozen=True)
class Run:
    """All FINER tasks of one lmms-eval run.

    `replies` says where finer_hf kept replies, how many an earlier run had left there, and how many were generated.
    """

    path: Path
    model: str
    tasks: tuple[TaskRun, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, Any] | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, if lmms-eval did not write it: shards, or the result file of another kit; else nothing."""
        told = []
        if merged := self.tasks[0].identity.get("merged"):
            told.append(f"merged from {merged['shards']} shards")
        if imported := self.tasks[0].identity.get("imported"):
            told.append(f"imported from {imported['from']} ({harmless(imported['file'])}), settings {imported['settings']}")
        return ", ".join(told)


_Text = Annotated[str, StringConstraints(min_length=1)]


class _Perturbed(BaseModel):
    """How the images of a run were perturbed; `of` is the fingerprint of the data as published."""

    model_config = ConfigDict(extra="allow")
    name: _Text
    severity: int
    seed: int
    of: _Text


class _Identity(BaseModel):
    """What every version of finer-tasks has written into a task's metadata; later additions are kept as they are."""

    model_config = ConfigDict(extra="allow")
    dataset: Annotated[str, AfterValidator(known_dataset)]
    level: Literal["superordinate", "coarse", "fine"]
    variant: _Text
    parent: _Text
    prompt_set: _Text
    prompt_hash: _Text
    data_fingerprint: _Text
    data_source: _Text
    data_partial: bool
    data_official: bool = True
    scoring: _Text
    finer_version: _Text
    versions: dict[str, Any] = {}
    perturbation: _Perturbed | None = None


class _Metadata(BaseModel):
    finer: _Identity


class _Task(BaseModel):
    metadata: _Metadata
    generation_kwargs: dict[str, Any] | None = None


class _Count(BaseModel):
    original: int
    effective: int


class _Config(BaseModel):
    """How lmms-eval was called; what else stands there is kept as it is."""

    model_config = ConfigDict(extra="allow")
    model: Any = "?"
    model_args: Any = ""
    offset: int | None = None


class _Replies(BaseModel):
    folder: str
    reused: int
    generated: int


class _Results(BaseModel):
    """The part of a result file that is read. `configs` may hold tasks of others, in any form."""

    configs: dict[str, Any]
    config: _Config = _Config()
    counts: dict[str, _Count] = Field(default={}, alias="n-samples")
    lmms_eval_version: str | None = None
    date: Any = None
    finer_replies: _Replies | None = None


def read_run(path: Path, unscored: bool = False) -> Run:
    """The newest run below a folder, or the one whose *_results.json is given; raises ResultsError.

    `unscored` takes answers without scores as well, for `rescore`.
    """
    file = _results_file(path)
    try:
        raw = _Results.model_validate(parse_json(file.read_bytes(), allow_nan=True))
    except (OSError, ValueError) as error:
        why = explain(error) if isinstance(error, ValidationError) else error
        raise ResultsError(f"{file} is no result file of lmms-eval ({why})") from error
    names = [name for name, config in raw.configs.items() if _is_ours(config)]
    tasks = tuple(task for name in names if (task := _task_of_ours(file, name, raw, unscored)))
    if not tasks:
        raise ResultsError(f"{file} holds no FINER task; its tasks are {', '.join(map(harmless, raw.configs)) or 'none'}")
    model = harmless(f"{raw.config.model} ({_which_model(raw.config.model_args)})")
    keys = ("model", "model_args", "batch_size", "limit", "offset", "gen_kwargs", "random_seed")
    settings = {key: getattr(raw.config, key, None) for key in keys}
    # Installed from a wheel, lmms-eval states its own version as unknown; ours is in the tasks.
    version = tasks[0].identity.get("versions", {}).get("lmms_eval") or raw.lmms_eval_version
    replies = None if raw.finer_replies is None else raw.finer_replies.model_dump()
    return Run(file, model, tasks, settings | {"lmms_eval_version": version, "date": raw.date}, replies)


def _which_model(arguments: Any) -> Any:
    """The arguments of a model without the place of kept replies, which makes it no other model."""
    if isinstance(arguments, dict):
        return {key: value for key, value in arguments.items() if key != "resume"}
    return ",".join(part for part in str(arguments).split(",") if not part.startswith("resume="))


def samples_file(results: Path, task: str) -> Path:
    """Where lmms-eval puts the samples of a task, beside its *_results.json."""
    return results.with_name(f"{results.name.removesuffix(ENDING)}_samples_{task}.jsonl")


def runs_below(path: Path) -> list[Path]:
    """The runs of an experiment's folder, which keeps each below evaluations/; the path itself where it is no such folder."""
    inside = path / "evaluations"
    found = sorted({file.parent for file in inside.rglob(f"*{ENDING}")}) if inside.is_dir() else []
    return found or [path]


def require_alike(what: str, found: Iterable[object], fix: str) -> str:
    """What all runs of a command have in common; raises ResultsError if they differ in it."""
    values = sorted(set(map(str, found)))
    if len(values) > 1:
        raise ResultsError(f"the runs are of different {what} ({'; '.join(values)}); {fix}")
    return values[0]


def _results_file(path: Path) -> Path:
    """The file itself, or the one with the latest date inside; dates of files change when they are copied."""
    if path.is_file():
        if not path.name.endswith(ENDING):
            raise ResultsError(f"{path}: the name of a result file of lmms-eval ends in {ENDING}")
        return path
    found = sorted(path.rglob(f"*{ENDING}"))
    if not found:
        raise ResultsError(f"{path}: no *{ENDING} below it. Run lmms-eval with --output_path {path} --log_samples")
    if len(found) == 1:
        return found[0]
    dates = {file: _date(file) for file in found}
    *others, newest = sorted(found, key=lambda file: dates[file])
    if not dates[newest] or dates[newest] == dates[others[-1]]:
        raise ResultsError(
            f"{path} holds {len(found)} runs, and their dates do not tell which is the newest: {_listed(found)}. "
            "Give one of them"
        )
    logger.warning(harmless(f"{path} holds {len(found)} runs; the newest is read, {newest.name}, and not {_listed(others)}"))
    return newest


def _date(file: Path) -> str:
    """The date inside a result file, else the one in its name, else nothing."""
    try:
        inside = parse_json(file.read_bytes(), allow_nan=True)["date"]
    except (OSError, ValueError, LookupError, TypeError):
        inside = None
    for text in (inside, file.name[:15]):
        if isinstance(text, str) and _DATE.fullmatch(text):
            return text
    return ""


def _listed(files: list[Path]) -> str:
    return ", ".join(map(str, files[:_SHOWN])) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")


def _is_ours(config: Any) -> bool:
    metadata = config.get("metadata") if isinstance(config, dict) else None
    return isinstance(metadata, dict) and "finer" in metadata


def _task_of_ours(results: Path, name: str, raw: _Results, unscored: bool) -> TaskRun | None:
    """A task of the run; none where a scorer of the user's own gave other figures than ours."""
    try:
        return _task(results, name, raw, unscored)
    except ResultsError as error:
        identity = raw.configs[name]["metadata"]["finer"]
        if not isinstance(identity, dict) or "scorer" not in identity:
            raise
        logger.warning(harmless(f"{name} is left out: it has a scorer of its own, {identity['scorer']}. {error}"))
        return None


def _task(results: Path, name: str, raw: _Results, unscored: bool) -> TaskRun:
    if not _TASK_NAME.fullmatch(name):
        raise ResultsError(f"{results}: {name!r} is no name of a task; letters, digits, dots, dashes and underscores make one")
    try:
        config = _Task.model_validate(raw.configs[name])
    except ValidationError as error:
        raise ResultsError(f"{results}: configs.{name}.{explain(error)}. The file is damaged; run lmms-eval again") from error
    path = samples_file(results, name)
    if not path.exists():
        raise ResultsError(f"{path} is missing. Run lmms-eval with --log_samples, so that answers can be looked at one by one")
    identity = config.metadata.finer.model_dump(exclude_unset=True)
    samples = tuple(read_samples(path, identity, unscored))
    if name not in raw.counts:
        raise ResultsError(f"{results}: n-samples does not tell the documents of {name}. Run lmms-eval again")
    count, offset = raw.counts[name], raw.config.offset or 0
    # lmms-eval's own count forgets the documents that --offset leaves out.
    expected = min(count.effective, count.original - offset)
    if not samples or len(samples) != expected:
        raise ResultsError(
            f"{path} holds {len(samples)} documents, the results speak of {expected}: the run was cut off, "
            "or the file is not whole. Run lmms-eval again"
        )
    generation = {key: value for key, value in (config.generation_kwargs or {}).items() if key not in _NOT_DECODING}
    return TaskRun(name, identity, generation, samples, count.original)
