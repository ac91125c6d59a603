"""`finer reproduce`: the paper's experiment by a plan, piece by piece, each kept on disk (see layout.py for where)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from finer_tasks.attributes.knowledge import knowledge_path, load_knowledge
from finer_tasks.datasets.perturb import require_as_published
from finer_tasks.datasets.prepare import Request, ensure_prepared, prepare
from finer_tasks.datasets.prepared import VARIABLE, Prepared, data_dir
from finer_tasks.models.arguments import model_arguments
from finer_tasks.models.batching import batch_size_of
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.models.loading import LoadOptions, choose_device
from finer_tasks.tasks.prompts import active_prompt_set
from finer_tasks.training.claim import claim
from finer_tasks.training.errors import MixtureError, TrainingError
from finer_tasks.training.evaluating import Limits, evaluate
from finer_tasks.training.mixture.build import build_mixture
from finer_tasks.training.mixture.recipe import DatasetShare, HeldOut, MixtureRecipe, Style
from finer_tasks.training.reproduce.bases import cached_features, make_base, probe_base
from finer_tasks.training.reproduce.layout import DONE, Layout
from finer_tasks.training.reproduce.partition import Group, groups_of
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.reproduce.report import write_report
from finer_tasks.training.tuning.recipe import TrainRecipe
from finer_tasks.training.tuning.train import train
from finer_tasks.training.work import Piece, work
from finer_tasks.writing import locked, replacing, write_text

_FINISHED = "training.json"
# Seconds for which a process waits while another of the same experiment sets it up or writes its report.
_WAIT = 600


def reproduce(plan: Plan, output: Path) -> Path:
    """Do what is not done yet of a plan; returns the HTML summary.

    Raises TrainingError if the folder holds another plan, and whatever data or a model that cannot be used raises.
    """
    output = output.resolve()  # what runs of tuning note as their base model holds from every folder
    experiment = Experiment.of(plan, output)
    work(list(experiment.pieces()), experiment.layout.locks)
    with locked(output, _WAIT):
        return write_report(plan, experiment.groups, experiment.layout)


@dataclass(frozen=True)
class Experiment:
    """A plan on the data that is prepared, and where its results lie."""

    plan: Plan
    groups: tuple[Group, ...]
    layout: Layout

    @classmethod
    def of(cls, plan: Plan, output: Path) -> Experiment:
        """Check that everything the plan names is there, and claim the folder."""
        require_as_published("a reproduction")
        _check_asked(plan)
        data = {name: _checked(name) for name in plan.datasets}
        if plan.documents_per_concept is not None:
            for prepared in data.values():
                _require_folder(prepared)
        groups, layout = groups_of(plan), Layout(output)
        sources = {key: value for key, value in _sources(plan).items() if value}
        made_from = {
            "data": {name: dict(prepared.manifest.contents) for name, prepared in data.items()},
            "attributes": {name: load_knowledge(name).fingerprint for name in plan.datasets},
            "prompts": active_prompt_set().hash,
            "models": weights_fingerprint(sources),
        }
        keys = {name: value for name, value in asdict(plan).items() if name != "seeds"}  # more of them may follow
        with locked(output, _WAIT):
            if claim(keys | made_from, output, DONE):
                shutil.rmtree(layout.data, ignore_errors=True)  # of a plan that was given up before anything was done
            write_text(layout.groups, json.dumps([asdict(group) for group in groups], indent=2) + "\n")
            if plan.documents_per_concept is not None:
                for prepared in data.values():
                    _write_part(prepared, plan.documents_per_concept, layout.data)
        return cls(plan, groups, layout)

    def pieces(self) -> Iterator[Piece]:
        """All that is to be done, seed by seed, so that the first seeds are whole where time ends early."""
        for seed in self.plan.seeds:
            yield from self._base_pieces(seed)
            for group in self.groups:
                for style in self.plan.mixtures:
                    yield from self._tuning_pieces(seed, group, style)

    def _base_pieces(self, seed: int) -> Iterator[Piece]:
        plan, layout = self.plan, self.layout
        if plan.base.checkpoint and seed != plan.seeds[0]:
            return  # it is the same for all
        if not plan.base.checkpoint:
            yield Piece("base", f"base model of seed {seed}", layout.base(seed), partial(make_base, plan, seed, layout))
        if plan.probe:
            do = partial(probe_base, plan, seed, layout)
            yield Piece("probe", f"probe of seed {seed}", layout.probe(plan.base_of(seed)), do, self._needs(seed))
        place = layout.base_evaluation(plan.base_of(seed))
        do = partial(self._evaluate, place, f"pretrained={self._base(seed)}")
        yield Piece("evaluation", f"evaluation of the base model of seed {seed}", place, do, self._needs(seed))

    def _tuning_pieces(self, seed: int, group: Group, style: Style) -> Iterator[Piece]:
        layout, named = self.layout, f"{style}, seed {seed}, without {group.name}"
        mixture, run, place = (find(seed, group.name, style) for find in (layout.mixture, layout.run, layout.evaluation))
        finished = run / _FINISHED
        yield Piece("mixture", f"mixture {named}", mixture, partial(self.mix, seed, group, style))
        do = partial(self._tune, seed, mixture, run)
        yield Piece("tuning", f"tuning {named}", finished, do, (*self._needs(seed), mixture))
        do = partial(self._evaluate, place, f"pretrained={self._base(seed)},peft={run}")
        yield Piece("evaluation", f"evaluation {named}", place, do, (finished,))

    def _base(self, seed: int) -> str:
        return self.plan.base.checkpoint or str(self.layout.base(seed))

    def _needs(self, seed: int) -> tuple[Path, ...]:
        return () if self.plan.base.checkpoint else (self.layout.base(seed),)

    def mix(self, seed: int, group: Group, style: Style) -> None:
        """The train images of all datasets but those of the group's concepts; both styles take the same ones."""
        plan = self.plan
        by_dataset = plan.held_out.by == "dataset"
        left = [name for name in plan.datasets if not (by_dataset and name in group.units)]
        shares: dict[str, DatasetShare | None] = {name: DatasetShare(per_concept=plan.per_concept) for name in left}
        held_out = HeldOut(datasets=group.units) if by_dataset else HeldOut(concepts=group.concepts)
        recipe = MixtureRecipe(
            f"{style}-without-{group.name}", shares, style, plan.detail, seed, held_out, plan.near_duplicates
        )
        build_mixture(recipe, self.layout.mixture(seed, group.name, style))

    def _tune(self, seed: int, mixture: Path, run: Path) -> None:
        """LoRA on one mixture, through what `finer train` calls."""
        try:
            outcome = train(self.tuning(seed, mixture, run))
        except MixtureError as error:
            raise MixtureError(f"{error}\nIt is a piece of an experiment: delete {mixture} and repeat the command") from error
        if outcome.stopped_by is not None:
            raise TrainingError(f"stopped in {run}; the same command goes on from there")

    def tuning(self, seed: int, mixture: Path, run: Path) -> TrainRecipe:
        """The recipe of one run of tuning."""
        return self.plan.tuned(mixture, self._base(seed), run, seed, cached_features(self.plan, self.layout))

    def _evaluate(self, place: Path, model_args: str) -> None:
        plan = self.plan
        if features := cached_features(plan, self.layout):
            model_args += f",encoder_cache={features}"
        model_args += f",{plan.model_args}" if plan.model_args else ""
        limits = Limits(None, plan.max_new_tokens, plan.batch_size)
        variables = {VARIABLE: str(self.layout.data.resolve())} if plan.documents_per_concept is not None else {}
        evaluate(place, model_args, tasks_of(plan), limits, variables)


def tasks_of(plan: Plan) -> list[str]:
    """The tasks of lmms-eval that a plan asks: each level by the direct question, and the arms at fine level."""
    asked = [*plan.levels, *(f"fine_{arm}" for arm in plan.arms)]
    return [f"finer_{dataset}_{level}" for dataset in plan.datasets for level in asked]


def _check_asked(plan: Plan) -> None:
    """Raise TrainingError or ModelError where finer_hf would refuse how the plan asks, after hours of training."""
    arguments = model_arguments(plan.model_args)
    if placed := next((name for name in ("pretrained", "peft", "encoder_cache", "batch_size") if name in arguments), None):
        raise TrainingError(f"model_args={plan.model_args}: {placed} is set by the experiment; leave it out")
    LoadOptions.of({"pretrained": "a model of the experiment"} | arguments)
    batch_size_of(plan.batch_size, choose_device(None))


def _checked(name: str) -> Prepared:
    """A dataset with both splits and attributes; raises the error that says which command is missing."""
    prepared = ensure_prepared(name)
    for split in ("train", "test"):
        prepared.check(split)
    load_knowledge(name)
    return prepared


def _sources(plan: Plan) -> dict[str, str | None]:
    """The folders or names of all models that a plan starts from."""
    base = plan.base
    found = {"checkpoint": base.checkpoint}
    for name, part in (("encoder", base.encoder), ("language", base.language)):
        if part is not None:
            found[name] = part.folder or part.llava
    return found


def _require_folder(prepared: Prepared) -> None:
    """Raise TrainingError where a part of a dataset cannot be prepared again from its folder."""
    manifest = prepared.manifest
    if manifest.unified or manifest.embedded:
        raise TrainingError(
            f"documents_per_concept takes {manifest.dataset} from its folder as published, and it was prepared otherwise. "
            "Prepare it without --embed-images and --from-unified, or set documents_per_concept=null"
        )


def _write_part(prepared: Prepared, per_concept: int, directory: Path) -> None:
    """The first test images of each concept, and the attributes, where the evaluations find them."""
    manifest = prepared.manifest
    if (directory / manifest.dataset / "manifest.json").exists():
        return
    if (known := knowledge_path(manifest.dataset)).exists():
        target = directory / known.relative_to(data_dir())
        with replacing(target) as fresh:
            shutil.copyfile(known, fresh)
    prepare(Request(manifest.dataset, Path(manifest.root), ("test",), per_concept=per_concept), directory)
