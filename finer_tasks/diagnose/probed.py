"""What a probe says of the runs' documents, and which of its points stand for encoder, projector and language model.

The encoder at the layer that the model uses, pooled in the same way as behind the projector, of the common ways the one that
tells most at the encoder; of all ways where the projector takes the class token too. The language model at the last position
of the prompt, where the answer begins, at the layer that tells most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finer_tasks.diagnose.evidence import Stage, stage_of
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.probe.results import Kind, Level, Place, Point, ProbeError, Summary, read_predictions
from finer_tasks.runs.comparing import Side
from finer_tasks.statistics.clusters import Clusters, Floats

KINDS: tuple[Kind, ...] = ("linear", "mlp", "neighbour")


def kind_of(summary: Summary, level: Level) -> Kind:
    """The probe that is believed: a linear one, where there is one. Raises ProbeError where the level was not probed."""
    made = {figure.probe for figure in summary.figures if figure.level == level and not figure.control}
    for kind in KINDS:
        if kind in made:
            return kind
    raise ProbeError(f"the probe has no figures at {level} level. Make it with `finer probe --levels {level}`")


def choose(summary: Summary, level: Level) -> dict[Place, str]:
    """The name of the point for every place that was probed."""
    kind = kind_of(summary, level)
    top1 = {
        figure.point: figure.top1.value
        for figure in summary.figures
        if (figure.level, figure.probe, figure.control) == (level, kind, "")
    }
    points = [point for point in summary.points if point.name in top1]
    encoder = _at_used_layer([point for point in points if point.place == "encoder"])
    projector = _at_used_layer([point for point in points if point.place == "projector"])
    language = [point for point in points if point.place == "language"]
    common = {point.pooling for point in encoder} & {point.pooling for point in projector}
    if any(point.class_token_taken for point in encoder):
        common = {point.pooling for point in encoder}  # what the projector makes of that token has no pooling to match
    best = _best(top1, (point for point in encoder if point.pooling in common)) or _best(top1, encoder)
    behind = [point for point in projector if best and point.pooling == best.pooling] or projector
    answering = [point for point in language if point.pooling == "last"] or language
    chosen: dict[Place, Point | None] = {
        "encoder": best,
        "projector": _best(top1, behind),
        "language": _best(top1, answering),
    }
    return {place: point.name for place, point in chosen.items() if point}


def _at_used_layer(points: Sequence[Point]) -> list[Point]:
    """The points of the layer that goes on to the next part, the last one where none is marked."""
    orders = [point.order for point in points if point.used] or [point.order for point in points]
    return [point for point in points if point.order == max(orders)]


def _best(top1: Mapping[str, float], points: Iterable[Point]) -> Point | None:
    return max(points, key=lambda point: top1[point.name], default=None)


def probed(
    folder: Path, summary: Summary, level: Level, ids: Sequence[str], concepts: Clusters
) -> tuple[dict[str, Stage], dict[str, Floats], dict[str, Stage]]:
    """Stages of the probes, their hits at equal width, and what they give under shuffled labels."""
    chosen, kind = choose(summary, level), kind_of(summary, level)
    said: dict[tuple[str, Place], dict[str, str]] = {}
    labels: dict[str, str] = {}
    for one in read_predictions(folder):
        if one.level == level and one.probe == kind and chosen.get(one.place) == one.point:
            said.setdefault((one.control, one.place), {})[one.id] = one.predicted
            labels[one.id] = one.label
    _require_same_labels(folder, ids, concepts, labels)
    labelled = {"": summary.levels[level].labels}
    found = {
        (control, place): stage_of(
            concepts, [by_id[i] for i in ids], [""] * len(ids), f"{kind} probe at {chosen[place]}", labelled
        )
        for (control, place), by_id in said.items()
    }

    def of(control: str) -> dict[str, Stage]:
        return {place: found[control, place] for place in chosen if (control, place) in found}

    return of(""), {place: stage.hits for place, stage in of("equal_width").items()}, of("shuffled")


def require_same_origin(folder: Path, summary: Summary, side: Side, allow: Collection[str]) -> list[str]:
    """Notes on a probe of another model, other data or other prompts than a run; raises ProbeError unless allowed."""
    run, task = side
    weights = weights_fingerprint(_arguments(run.settings.get("model_args")))
    pairs = {
        "model": (summary.made.get("weights"), weights),
        "data": (dict(summary.made.get("data") or {}).get("test"), task.identity["data_fingerprint"]),
        "prompts": (summary.made.get("prompt_hash"), task.identity["prompt_hash"]),
    }
    notes = []
    for name, (of_probe, of_run) in pairs.items():
        if not of_probe or not of_run:
            notes.append(f"whether probe and runs are of the same {name} could not be checked")
        elif of_probe != of_run and name not in allow:
            raise ProbeError(
                f"{folder} and {task.name} cannot be joined: {name} differs: {of_probe} and {of_run}. "
                f"Make both alike, or join them all the same with --allow {name}"
            )
        elif of_probe != of_run:
            notes.append(f"joined although the {name} of probe and runs differ")
    return notes


def _arguments(given: Any) -> Mapping[str, object]:
    """The model arguments of a run, which lmms-eval keeps as it got them."""
    if isinstance(given, Mapping):
        return given
    return dict(part.partition("=")[::2] for part in str(given or "").split(",") if part)


def _require_same_labels(folder: Path, ids: Sequence[str], concepts: Clusters, labels: Mapping[str, str]) -> None:
    """Every document of the runs was probed, and is of the same concept there. Raises ProbeError."""
    missing = [i for i in ids if i not in labels]
    if missing:
        raise ProbeError(
            f"{folder} has no prediction for {len(missing)} of the runs' {len(ids)} documents, for example {missing[0]}. "
            "Make both on the same documents of the same prepared data"
        )
    own = [concepts.names[concept] for concept in concepts.index]
    for i, concept in zip(ids, own, strict=True):
        if labels[i] != concept:
            raise ProbeError(f"{folder} says that {i} shows {labels[i]}, the runs {concept}: they are of other data")
