"""Result files of FOCI (Geigle et al. 2024; benchmark/evaluate.py of its repository) as runs of our multiple-choice tasks.

Such a file has for each image the options in the order that was shown, the right one, and the reply. Options are matched to
concepts by the names of the classes and their labels; the images to documents by their paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finer_tasks.datasets.concepts import concepts_of
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import at_line
from finer_tasks.exchange.asking import ExchangeError, bound
from finer_tasks.exchange.importing import NOT_STATED, Origin, imported_identity, write_imported
from finer_tasks.exchange.matching import by_image
from finer_tasks.options.choosing import Options
from finer_tasks.parsing import explain, parse_json
from finer_tasks.runs.reading import TaskRun
from finer_tasks.runs.samples import RECORD_FIELDS, Sample
from finer_tasks.scoring.multiple_choice import choice_items
from finer_tasks.text import normalize, shortened

# The datasets of FOCI that this package has with the same test images (benchmark/data/loaders.py).
DATASETS: Mapping[str, str] = {
    "fgvc_aircraft": "aircraft", "stanford_cars": "cars", "oxford_pet": "pets", "flowers102": "flowers", "food101": "food",
}  # fmt: skip
# Names of FOCI that are neither a class of the dataset nor a label here, with the class they stand for.
_OTHER_NAMES: Mapping[str, Mapping[str, str]] = {"flowers": {"air plant": "93"}}
_LEVEL = "fine"
_TOLERANCE = 1e-9


class _Prediction(BaseModel):
    image: str
    predicted: str
    predicted_raw: str
    correct: str
    options: Annotated[list[str], Field(min_length=2, max_length=26)]


class _Metrics(BaseModel):
    accuracy: float


class _Config(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())
    dataset: str
    model: str
    task: str = "mc"
    prompt_query: str = ""


class Foci(BaseModel):
    """A result file of FOCI."""

    metrics: _Metrics
    predictions: Annotated[list[_Prediction], Field(min_length=1)]
    config: _Config


def read_foci(path: Path) -> Foci:
    """The file; raises ExchangeError where it is none, of a dataset or task that has no counterpart, or contradicts itself."""
    try:
        found = Foci.model_validate(parse_json(path.read_bytes(), allow_nan=True))
    except (OSError, ValueError) as error:
        why = explain(error) if isinstance(error, ValidationError) else error
        raise ExchangeError(f"{path} is no result file of FOCI ({why})") from error
    if found.config.task != "mc":
        raise ExchangeError(f"{path} is of FOCI's task {found.config.task!r}; only multiple choice (mc) has a counterpart here")
    if found.config.dataset not in DATASETS:
        raise ExchangeError(
            f"{path} is of FOCI's dataset {found.config.dataset!r}; those with the same test images here are "
            f"{', '.join(DATASETS)}"
        )
    right = sum(one.predicted == one.correct for one in found.predictions) / len(found.predictions)
    if abs(right - found.metrics.accuracy) > _TOLERANCE:
        raise ExchangeError(
            f"{path} states an accuracy of {found.metrics.accuracy:.6f}, its answers give {right:.6f}: it was changed or cut"
        )
    return found


def import_foci(path: Path, output: Path, model: str | None = None, partial: bool = False) -> TaskRun:
    """Write a result file of FOCI as a run of finer_<dataset>_fine_mc into a folder that does not exist yet.

    Raises ExchangeError for an image or an option that is none of the dataset, for two answers to an image, and, unless
    `partial`, for images without an answer.
    """
    found = read_foci(path)
    dataset = DATASETS[found.config.dataset]
    asked = bound(f"finer_{dataset}_{_LEVEL}_mc")
    documents = list(asked.documents())
    find, samples = by_image(documents), dict[int, Sample]()
    for entry, one in enumerate(found.predictions, start=1):
        number = find(one.image)
        if number is None:
            raise ExchangeError(at_line(path, entry, f"the image {shortened(one.image)} is none of {dataset}'s test images"))
        if number in samples:
            raise ExchangeError(at_line(path, entry, f"a second answer to {documents[number]['id']}"))
        samples[number] = _sample(path, entry, one, documents[number], number, found.config.prompt_query)
    if (lacking := len(documents) - len(samples)) and not partial:
        missing = next(document["id"] for number, document in enumerate(documents) if number not in samples)
        raise ExchangeError(
            f"{path} lacks {lacking} of {len(documents)} test images of {dataset}, for example {missing}. Was FOCI run with "
            "--max_examples? Take what is there with --allow partial"
        )
    origin = Origin("foci", path, "image", model or found.config.model)
    offered = {"name": "foci", "options": len(found.predictions[0].options), "file": NOT_STATED}
    identity = imported_identity(asked, origin, same_questions=False) | {"choices": offered}
    task = TaskRun(asked.task.name, identity, {}, tuple(samples[number] for number in sorted(samples)), len(documents))
    write_imported(task, asked.metrics, origin, output)
    return task


def _sample(path: Path, entry: int, one: _Prediction, document: Mapping[str, Any], number: int, question: str) -> Sample:
    record = {key: document[key] for key in RECORD_FIELDS}
    keys = tuple(_key(path, entry, name, str(document["id"])) for name in one.options)
    if one.correct not in one.options or keys[one.options.index(one.correct)] != document["concept_id"]:
        raise ExchangeError(
            at_line(path, entry, f"the right answer {one.correct!r} is not offered, or not what {document['id']} shows")
        )
    options = Options(keys, tuple(one.options), one.options.index(one.correct))
    items = choice_items(record, (one.predicted_raw,), _LEVEL, options, literally=True)
    return Sample(record, "", items, (one.predicted_raw,), question, number)


def _key(path: Path, entry: int, name: str, document: str) -> str:
    dataset = document.split("/", 1)[0]
    if (key := _names(dataset).get(normalize(name.replace("_", " ")))) is None:
        raise ExchangeError(at_line(path, entry, f"the option {name!r} names no class of {dataset}"))
    return key


@cache
def _names(dataset: str) -> Mapping[str, str]:
    """Concepts by the normalised names of their classes, else by their labels."""
    found: dict[str, str] = {}
    for concept in concepts_of(dataset):
        for label in (*concept.fine, *concept.aliases):
            found.setdefault(normalize(label), concept.concept_id)
    classes = load_taxonomy(dataset).classes
    found |= {normalize(name.replace("_", " ")): concept.concept_id for name, concept in classes.items()}
    others = _OTHER_NAMES.get(dataset, {}).items()
    return found | {normalize(name): classes[number].concept_id for name, number in others}
