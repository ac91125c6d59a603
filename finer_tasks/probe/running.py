"""`finer probe` from a model's name to the files of its results."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import finer_tasks
from finer_tasks.datasets.perturb import active_perturbation
from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.models.loading import LoadOptions
from finer_tasks.probe.documents import choose_documents, chosen_levels, told_labels
from finer_tasks.probe.extraction import Extractor
from finer_tasks.probe.measuring import Bench, chosen_kinds, figures_of, level_summaries, predictions_of
from finer_tasks.probe.plots import plot_levels
from finer_tasks.probe.points import DEFAULT_POOLINGS
from finer_tasks.probe.results import Level, Summary, write_probe
from finer_tasks.writing import locked

FEATURES = "features"


@dataclass(frozen=True)
class Wanted:
    """What is to be probed; empty sequences stand for what is usual.

    Attributes:
        points, poolings: see points.py.
        probes: linear, mlp, neighbour.
        per_concept: images of each concept to fit on; all without it.
        limit: documents to test on, the first ones, as tasks take them.
    """

    dataset: str
    points: Sequence[str] = ()
    poolings: Sequence[str] = ()
    levels: Sequence[str] = ()
    probes: Sequence[str] = ()
    per_concept: int | None = None
    limit: int | None = None
    batch_size: int | str = "auto"
    seed: int = 0


def run_probe(options: LoadOptions, wanted: Wanted, output: Path) -> Summary | None:
    """Extract features where they are not there yet, fit probes, write results and plots; None in processes that only helped.

    Raises ProbeError, and whatever a model or dataset that cannot be used raises.
    """
    levels, kinds = chosen_levels(wanted.levels), chosen_kinds(wanted.probes)
    prepared = ensure_prepared(wanted.dataset)
    documents = choose_documents(prepared, wanted.per_concept, wanted.limit, wanted.seed)
    labels = told_labels(documents, levels)
    extractor = Extractor(options, wanted.batch_size, prepared, documents)
    with locked(output) if extractor.is_main else nullcontext():
        extracted = extractor.extract(wanted.points, wanted.poolings or DEFAULT_POOLINGS, output / FEATURES)
        if extracted is None:
            return None
        bench = Bench(extracted, documents, labels, kinds, wanted.seed)
        outcomes = list(bench.outcomes())
        summary = Summary(
            finer_version=finer_tasks.__version__,
            dataset=wanted.dataset,
            model=options.label,
            made=dict(extracted.made),
            settings=bench.settings | {"per_concept": wanted.per_concept, "limit": wanted.limit},
            points=extracted.points,
            levels=level_summaries(bench),
            figures=tuple(figures_of(bench, outcomes)),
            notes=_notes(levels, labels, prepared.manifest.partial, len(set(documents.test.concepts))),
        )
        write_probe(output, summary, predictions_of(bench, outcomes))
        plot_levels(summary, output)
        return summary


def _notes(levels: Collection[Level], told: Collection[Level], partial: bool, concepts: int) -> tuple[str, ...]:
    notes = [f"{level} has one label in these documents and was not probed" for level in levels if level not in told]
    if concepts == 1:
        notes.append("the documents to test on show one concept: intervals over concepts tell nothing. Give a larger --limit")
    if partial:
        notes.append("from a partial copy of the dataset")
    if (perturbation := active_perturbation()) is not None:
        notes.append(f"images to fit on and to test on are perturbed by {perturbation}")
    return tuple(notes)
