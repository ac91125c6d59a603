"""`finer retention`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.cli.options import Commands, add_names, add_output, positive
from finer_tasks.cli.output import out, written

if TYPE_CHECKING:
    from finer_tasks.retention.states import State


def add_retention(commands: Commands) -> None:
    """Add the command to the parser."""
    retention = commands.add_parser("retention", help="what tuning gained and what it forgot, over the checkpoints of a run")
    run = "output of finer train, finished or not; its base model is the state before"
    retention.add_argument("run_folder", type=Path, nargs="?", metavar="RUN", help=run)
    retention.add_argument(
        "--before", metavar="MODEL_ARGS", help="instead of RUN, the model before, as `--model_args` of lmms-eval"
    )
    retention.add_argument("--after", metavar="MODEL_ARGS", help="and the one after, for example pretrained=BASE,peft=ADAPTER")
    add_names(retention, "--tasks", "tasks or groups of lmms-eval that should be retained")
    add_names(retention, "--gain", "tasks or groups that tuning is meant to help")
    add_names(retention, "--texts", "text files (empty lines part texts), JSONL files with a text a line, or built-in", "FILES")
    add_names(retention, "--metric", "TASK=METRIC: the score to compare, by default the first that documents have", "PAIRS")
    add_output(retention, "DIR", "what is evaluated there already is not evaluated again")
    retention.add_argument("--model", default="finer_hf", help="model of lmms-eval (default finer_hf)")
    retention.add_argument("--batch-size", default="1")
    retention.add_argument("--limit", type=positive, help="only so many documents of each task")
    retention.add_argument("--window", type=_window, default=1024, help="tokens of a text at once (default 1024)")
    retention.add_argument("--margin", type=_share, default=0.02, help="a smaller loss counts as kept (default 0.02)")
    retention.add_argument("--include-path", type=Path, metavar="DIR", help="tasks of your own, as for lmms-eval")
    retention.add_argument("--json", action="store_true")
    retention.set_defaults(run=_retention)


def _retention(arguments: argparse.Namespace) -> None:
    from finer_tasks.retention.display import as_markdown, print_curves
    from finer_tasks.retention.evaluations import Settings
    from finer_tasks.retention.plots import plot_curves
    from finer_tasks.retention.retain import Request, retain
    from finer_tasks.retention.texts import read_texts
    from finer_tasks.writing import write_text

    states = _states(arguments)
    wanted = Request(
        gain=tuple(dict.fromkeys(arguments.gain)),
        retained=tuple(dict.fromkeys(arguments.tasks)),
        texts=tuple(read_texts(source) for source in dict.fromkeys(arguments.texts)),
        metrics=dict(map(_pair, arguments.metric)),
        margin=arguments.margin,
    )
    settings = Settings(arguments.model, arguments.batch_size, arguments.limit, arguments.include_path, arguments.window)
    found = retain(states, wanted, settings, arguments.output)
    write_text(arguments.output / "table.md", as_markdown(found))
    written(plot_curves(found, arguments.output))
    if arguments.json:
        print((arguments.output / "retention.json").read_text(encoding="utf-8"), end="")
    else:
        print_curves(found, arguments.margin, out)


def _states(arguments: argparse.Namespace) -> list[State]:
    from finer_tasks.errors import ModelError
    from finer_tasks.retention.states import states_of_models, states_of_run

    pair = (arguments.before, arguments.after)
    if arguments.run_folder and not any(pair):
        return states_of_run(arguments.run_folder)
    if all(pair) and not arguments.run_folder:
        return states_of_models(*pair)
    raise ModelError("give either RUN, the output of finer train, or both --before and --after")


def _pair(text: str) -> tuple[str, str]:
    from finer_tasks.errors import ResultsError

    task, equals, metric = text.partition("=")
    if not (task and equals and metric):
        raise ResultsError(f"--metric {text}: give TASK=METRIC")
    return task, metric


def _window(text: str) -> int:
    """Tokens of which half are context."""
    if (found := positive(text)) < 2:
        raise argparse.ArgumentTypeError("a window of one token has nothing to predict from; give 2 or more")
    return found


def _share(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value
