"""Evaluating states by lmms-eval's own command, each state and task once.

DIR/evaluations/<state>/<number>/ has what lmms-eval wrote and request.json, which says what made it; a number is taken for
each run, so that tasks asked for later come beside those that are there.
DIR/texts/<state>-<hash>.json has the losses on a set of texts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

import finer_tasks
from finer_tasks.datasets.prepared import VARIABLE
from finer_tasks.errors import ResultsError
from finer_tasks.models.perplexity import TextLoss
from finer_tasks.retention.states import State
from finer_tasks.retention.texts import TextSet
from finer_tasks.runs.evaluate import run_lmms_eval
from finer_tasks.writing import as_json, replacing, write_text

if TYPE_CHECKING:
    from finer_tasks.models.loading import LoadOptions

_CODE = (".yaml", ".yml", ".py")


@dataclass(frozen=True)
class Settings:
    """How every state is evaluated."""

    model: str = "finer_hf"
    batch_size: str = "1"
    limit: int | None = None
    include_path: Path | None = None
    window: int = 1024


def evaluate(state: State, tasks: Sequence[str], settings: Settings, folder: Path) -> list[Path]:
    """Evaluate a state on the tasks that are not evaluated yet; returns the folders that hold all of them."""
    wanted = request(state, settings)
    place = folder / "evaluations" / state.name
    there = {path.parent: _read(path) for path in sorted(place.glob("*/request.json"))}
    fitting = {path: found["tasks"] for path, found in there.items() if found["request"] == wanted}
    missing = [task for task in tasks if not any(task in found for found in fitting.values())]
    if not missing:
        return [path for path, found in fitting.items() if set(found) & set(tasks)]
    number = 1 + max((int(path.name) for path in there if path.name.isdigit()), default=0)
    options = ["--include_path", str(settings.include_path)] if settings.include_path else []
    with replacing(place / str(number)) as fresh:
        run_lmms_eval(fresh, settings.model, state.model_args, missing, settings.batch_size, settings.limit, options)
        write_text(fresh / "request.json", as_json({"request": wanted, "tasks": missing}) + "\n")
    return [path for path, found in fitting.items() if set(found) & set(tasks)] + [place / str(number)]


def request(state: State, settings: Settings) -> dict[str, Any]:
    """What a result depends on beside the task: another one is no answer to it."""
    return {
        "model": settings.model,
        "model_args": state.model_args,
        "weights": state.weights,
        "limit": settings.limit,
        "own_tasks": _hash_of(settings.include_path),
        "environment": {
            key: value for key, value in sorted(os.environ.items()) if key.startswith("FINER_") and key != VARIABLE
        },
        "versions": {"finer-tasks": finer_tasks.__version__, "lmms_eval": metadata.version("lmms_eval")},
    }


def measure_texts(state: State, sets: Sequence[TextSet], settings: Settings, folder: Path) -> dict[str, list[TextLoss]]:
    """The losses of a state on each set, by its name; the model is loaded once, and only where a set was not measured yet."""
    wanted = request(state, settings) | {"window": settings.window, "limit": None}
    paths = {one.name: folder / "texts" / f"{state.name}-{one.hash}.json" for one in sets}
    found = {name: _read(path) for name, path in paths.items() if path.exists()}
    missing = [one for one in sets if found.get(one.name, {}).get("request") != wanted]
    if missing:
        measured = _text_losses(state, missing, settings)
        for one in missing:
            found[one.name] = {"request": wanted, "losses": [asdict(loss) for loss in measured[one.name]]}
            write_text(paths[one.name], as_json(found[one.name]) + "\n")
    return {name: [TextLoss(**loss) for loss in content["losses"]] for name, content in found.items()}


def text_options(state: State, settings: Settings) -> LoadOptions:
    """How a state is loaded to measure texts; raises ResultsError or ModelError where it cannot be."""
    from finer_tasks.models.loading import LoadOptions

    if settings.model != "finer_hf":
        raise ResultsError(f"--texts: perplexity is measured through finer_hf, not {settings.model}. Leave out --texts")
    return LoadOptions.of(state.arguments)


def _text_losses(state: State, sets: Sequence[TextSet], settings: Settings) -> dict[str, list[TextLoss]]:
    from finer_tasks.models.batching import batch_size_of
    from finer_tasks.models.loading import choose_device, load_model, load_processor
    from finer_tasks.models.perplexity import text_losses

    options = text_options(state, settings)
    device = choose_device(options.device)
    processor, model = load_processor(options), load_model(options, device)
    logger.info(f"{state.name}: texts {', '.join(one.name for one in sets)}")
    size = batch_size_of(settings.batch_size, device)
    return {one.name: text_losses(model, processor.tokenizer, one.texts, settings.window, size) for one in sets}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("request"), Mapping):
            return found
    except (OSError, ValueError):
        pass
    raise ResultsError(f"{path} is damaged, so that nothing tells what was evaluated. Delete it, or its folder, and run again")


def _hash_of(folder: Path | None) -> str:
    """Over the tasks of the user's own, whose definitions a result depends on."""
    if folder is None:
        return ""
    if not folder.is_dir():
        raise ResultsError(f"--include-path {folder} is no folder")
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _CODE and path.is_file())
