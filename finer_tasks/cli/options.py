"""Options that several commands share, so that one thing is asked for in one way.

Runs are positional, as is the dataset; `--output` is what a command makes; `--json` prints the figures as JSON. Words of
an option are joined by dashes. An option that takes a list takes names joined by commas, and may be repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from finer_tasks.models.loading import LoadOptions

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_RUN = "what lmms-eval wrote with --output_path and --log_samples: that folder, or its *_results.json"


def add_run(command: argparse.ArgumentParser) -> None:
    """The run that the command reads, as `run_folder`."""
    command.add_argument("run_folder", type=Path, metavar="RUN", help=_RUN)


def add_runs(command: argparse.ArgumentParser, nargs: str = "+") -> None:
    """The runs that the command reads, as `run_folders`."""
    command.add_argument("run_folders", type=Path, nargs=nargs, metavar="RUN", help=_RUN)


def add_output(command: argparse.ArgumentParser, metavar: str, help_text: str | None = None, required: bool = True) -> None:
    """Where to write, FILE or DIR; a command that can be tried by --dry-run, which writes nothing, does not require it."""
    command.add_argument("--output", type=Path, required=required, metavar=metavar, help=help_text)


def add_loading(command: argparse.ArgumentParser, help_text: str, **more: Any) -> None:
    """How a model is loaded: the options that `loading` reads."""
    command.add_argument("--pretrained", metavar="MODEL", help=help_text, **more)
    command.add_argument("--peft", help="a LoRA adapter on it")
    command.add_argument("--revision", default="main")
    command.add_argument("--dtype", default="auto")
    command.add_argument("--device")
    command.add_argument("--trust-remote-code", action="store_true")


def loading(arguments: argparse.Namespace) -> LoadOptions:
    """The options of add_loading; raises ModelError."""
    from finer_tasks.models.loading import LoadOptions

    named = ("pretrained", "peft", "revision", "dtype", "device", "trust_remote_code")
    return LoadOptions(**{name: getattr(arguments, name) for name in named})


def add_names(command: argparse._ActionsContainer, option: str, help_text: str, metavar: str = "NAMES") -> None:
    """A list of names, empty by default."""
    shown = f"{help_text}, joined by commas"
    command.add_argument(option, type=names, action="extend", default=[], metavar=metavar, help=shown)


def add_filter(command: argparse.ArgumentParser, option: str, help_text: str) -> None:
    """As add_names; without the option, all are meant."""
    shown = f"{help_text}, joined by commas"
    command.add_argument(option, type=some_names, action="extend", default=[], metavar="NAMES", help=shown)


def add_allow_unanswered(command: argparse.ArgumentParser) -> None:
    """Reasons for which documents may lack an answer."""
    reasons = "reasons for which documents may lack an answer: corrupt_image, request_failed, …"
    add_names(command, "--allow", reasons, "REASONS")


def names(text: str) -> list[str]:
    """The names of a list joined by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def some_names(text: str) -> list[str]:
    """As `names`, and at least one: where none means all, an empty variable of a script is a mistake."""
    if not (found := names(text)):
        raise argparse.ArgumentTypeError("names nothing")
    return found


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def with_dashes(words: list[str]) -> list[str]:
    """The command line with options spelled by dashes: `--batch_size`, as lmms-eval has it, is `--batch-size` here."""
    spelled: list[str] = []
    for number, word in enumerate(words):
        if word == "--":
            return spelled + words[number:]
        option, equals, value = word.partition("=")
        spelled.append(option.replace("_", "-") + equals + value if option.startswith("--") else word)
    return spelled
