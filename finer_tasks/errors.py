"""One class per cause that a user can mend; each message says what, where and what to do next."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finer_tasks.text import harmless

USAGE_EXIT_CODE = 2
# What nobody foresaw: apart from 1, which a gate gives for "regressed" (EX_SOFTWARE of sysexits.h).
UNEXPECTED_EXIT_CODE = 70


class FinerError(Exception):
    """Base of every error whose message is written for the user."""


class DatasetLayoutError(FinerError):
    """A dataset folder is not laid out as its authors publish it."""


class DatasetContentError(FinerError):
    """A metadata file holds a broken line, an unknown class or a label out of range."""


class PartialDatasetError(FinerError):
    """The official counts or the image files are not all there."""


class NotPreparedError(FinerError):
    """A task was asked for whose dataset has not been prepared."""


class ChangedDataError(FinerError):
    """The prepared data differ from their own fingerprint."""


class TaxonomyError(FinerError):
    """A taxonomy file is broken, or does not cover a class."""


class PromptError(FinerError):
    """A prompt set cannot be found, read or rendered."""


class KnowledgeError(FinerError):
    """A knowledge base of attributes is absent, broken or incomplete."""


class ModelError(FinerError):
    """A model, adapter or option of finer_hf cannot be used."""


class DownloadError(FinerError):
    """An archive could not be fetched, verified or unpacked safely."""


class ResultsError(FinerError):
    """An output folder of lmms-eval cannot be read."""


class OutputError(FinerError):
    """A file or folder cannot be written."""


class BusyError(OutputError):
    """Another process writes it."""


def at_line(path: Path | str, number: int, problem: str, fix: str = "") -> str:
    """A message that points at one line of a file: `path:number: problem. fix`."""
    return f"{path}:{number}: {problem}." + (f" {fix}" if fix else "")


def os_error_text(error: OSError) -> str:
    """What the system refused, in words, with what helps where that is known."""
    advice = {
        errno.ENOSPC: "free space there or give another place",
        errno.EDQUOT: "free space there or give another place",
        errno.EROFS: "give a place that can be written",
        errno.EACCES: "check its permissions",
        errno.EPERM: "check its permissions",
        errno.ENOTDIR: "a file stands where a folder should be",
        errno.EEXIST: "a file stands where a folder should be",
    }.get(error.errno or 0)
    text = os.strerror(error.errno) if error.errno else (str(error) or type(error).__name__)
    return f"{text} ({advice})" if advice else text


def in_one_line(error: BaseException, limit: int = 400) -> str:
    """A foreign error's whole message on one line, cut in its middle if it is very long; its type where it has no message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def typed(error: BaseException) -> str:
    """A foreign error as in_one_line, after its type: many messages, such as a key that is missing, say nothing alone."""
    return f"{type(error).__name__}: {in_one_line(error)}"


def exit_code_of(error: Exception) -> int:
    """Print what went wrong for the user and give the exit code: 2 where a user can mend it, 70 where nobody foresaw it.

    The traceback of an unforeseen error goes to a log file, whose path is printed.
    """
    if isinstance(error, FinerError):
        print(harmless(f"finer: {error}", keep="\n"), file=sys.stderr)
        return USAGE_EXIT_CODE
    if isinstance(error, OSError) and error.filename is not None:
        print(harmless(f"finer: {error.filename}: {os_error_text(error)}"), file=sys.stderr)
        return USAGE_EXIT_CODE
    print(harmless(f"finer: unexpected {type(error).__name__}: {error}. {logged(error)}", keep="\n"), file=sys.stderr)
    return UNEXPECTED_EXIT_CODE


def logged(error: Exception) -> str:
    """Write the traceback to a log file; returns a sentence that says where it is."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="finer-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return f"No log could be written; the traceback:\n{text}"
    return f"Details are in {path}; please report it"


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error into a plain message and an exit code when lmms-eval's command runs us; see `exit_code_of`.

    lmms-eval prints a traceback for any exception and then exits with 0, which would let a
    broken run pass in CI. Under `simple_evaluate()` the error itself is raised.
    """
    try:
        yield
    except Exception as error:
        if not _under_lmms_eval_command():
            raise
        raise SystemExit(exit_code_of(error)) from None


def _under_lmms_eval_command() -> bool:
    main_spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    started_as_module = getattr(main_spec, "name", "") in {"lmms_eval.__main__", "lmms_eval"}
    return started_as_module or "lmms_eval.__main__" in sys.modules
