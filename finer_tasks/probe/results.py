"""What `finer probe` writes and what others read of it: probe.json and predictions.jsonl in one folder.

`probe.json` says what was probed, with what, and how accurate each probe is, with intervals. `predictions.jsonl` has a line for
each test document, level, point, probe and control.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from finer_tasks.errors import FinerError, at_line
from finer_tasks.parsing import explain, parse_json
from finer_tasks.statistics.bootstrap import Estimate
from finer_tasks.writing import as_json, replacing, write_text

SCHEMA = 1
SUMMARY, PREDICTIONS = "probe.json", "predictions.jsonl"

Place = Literal["encoder", "projector", "language"]
Kind = Literal["linear", "mlp", "neighbour"]
Control = Literal["", "shuffled", "equal_width"]
Level = Literal["superordinate", "coarse", "fine"]
_Text = Annotated[str, StringConstraints(min_length=1)]


class ProbeError(FinerError):
    """A probe cannot be made, or what one wrote cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(_Strict):
    """A point on the path of the image.

    Attributes:
        name: its place, layer and pooling: `encoder.6.cls`, `projector.mean`, `language.12.last`.
        pooling: how one vector is made of those of many positions.
        width: of that vector.
        order: counts from the image to the answer; points that differ in pooling alone have the same.
        used: whether it is what the model's own projector or language model takes.
        class_token_taken: of the class token where `used`, whether the projector gets it beside the patches.
    """

    name: _Text
    place: Place
    pooling: Literal["mean", "cls", "attention", "last"]
    width: int = Field(ge=1)
    order: int = Field(ge=0)
    used: bool = False
    class_token_taken: bool = False


class Figure(_Strict):
    """How accurate one probe is on the test documents.

    Attributes:
        top1: share of documents; macro: mean of the concepts' shares.
        width: of the features that the probe saw, which for the control `equal_width` is less than its point's.
        weight_decay: the chosen one of a linear probe.
    """

    level: Level
    point: _Text
    probe: Kind
    control: Control
    top1: Estimate
    macro: Estimate
    width: int = Field(ge=1)
    weight_decay: float | None = None


class LevelSummary(_Strict):
    """A level that was probed: its labels, documents to fit and to test, and what naming the most frequent label gives."""

    labels: int = Field(ge=2)
    train: int = Field(ge=1)
    test: int = Field(ge=1)
    concepts: int = Field(ge=1)
    chance: float = Field(ge=0, le=1)


class Summary(_Strict):
    """probe.json. `made` is what the features come from, `settings` how the probes were fitted."""

    kind: Literal["finer-probe"] = "finer-probe"
    schema_version: Literal[1] = 1
    finer_version: _Text
    dataset: _Text
    model: _Text
    made: dict[str, Any]
    settings: dict[str, Any]
    points: tuple[Point, ...] = Field(min_length=1)
    levels: dict[Level, LevelSummary] = Field(min_length=1)
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class Prediction(_Strict):
    """What one probe says of one test document; a line of predictions.jsonl.

    label, predicted: names of the level, at fine level concept ids. rank: of the label among all, from 1.
    """

    id: _Text
    concept_id: _Text
    level: Level
    point: _Text
    place: Place
    probe: Kind
    control: Control
    label: _Text
    predicted: _Text
    rank: int = Field(ge=1)


def write_probe(folder: Path, summary: Summary, predictions: Iterable[Prediction]) -> None:
    """Write both files; the summary last, so that one that is there has all its predictions."""
    folder.joinpath(SUMMARY).unlink(missing_ok=True)
    with replacing(folder / PREDICTIONS) as fresh, fresh.open("w", encoding="utf-8") as file:
        file.writelines(prediction.model_dump_json() + "\n" for prediction in predictions)
    write_text(folder / SUMMARY, as_json(summary.model_dump(mode="json")) + "\n")


def read_probe(folder: Path) -> Summary:
    """The summary in a folder that `finer probe` wrote; raises ProbeError."""
    path = folder / SUMMARY
    try:
        raw = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise ProbeError(f"{folder} holds no {SUMMARY}. Give a folder that `finer probe --output` wrote to the end") from None
    except (OSError, ValueError) as error:
        raise ProbeError(f"{path} cannot be read ({error}). Make it again with `finer probe`") from error
    if not isinstance(raw, Mapping) or raw.get("kind") != "finer-probe":
        raise ProbeError(f"{path} is no summary of `finer probe`. Give the folder of its --output")
    if isinstance(version := raw.get("schema_version"), int) and version > SCHEMA:
        raise ProbeError(f"{path} has schema {version}, this version reads up to {SCHEMA}. Update finer-tasks")
    try:
        return Summary.model_validate(raw)
    except ValidationError as error:
        raise ProbeError(f"{path} is damaged ({explain(error)}). Make it again with `finer probe`") from error


def read_predictions(folder: Path) -> Iterator[Prediction]:
    """Every line of a probe's predictions; raises ProbeError with the line of one that is broken."""
    path = folder / PREDICTIONS
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Prediction.model_validate_json(line)
                except ValidationError as error:
                    raise ProbeError(at_line(path, number, explain(error), "Make it again with `finer probe`")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(f"{path} cannot be read ({error}). Make it again with `finer probe`") from error
