"""One class per cause that a user can mend; each message says what, where and what to do next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USAGE_EXIT_CODE = 2


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


def at_line(path: Path | str, number: int, problem: str, fix: str = "") -> str:
    """A message that points at one line of a file: `path:number: problem. fix`."""
    return f"{path}:{number}: {problem}." + (f" {fix}" if fix else "")


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a FinerError into its plain message and exit code 2 when lmms-eval's command runs us.

    lmms-eval prints a traceback for any exception and then exits with 0, which would let a
    broken run pass in CI. Under `simple_evaluate()` the FinerError itself is raised.
    """
    try:
        yield
    except FinerError as error:
        if not _under_lmms_eval_command():
            raise
        print(f"finer: {error}", file=sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE) from None


def _under_lmms_eval_command() -> bool:
    main_spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    started_as_module = getattr(main_spec, "name", "") in {"lmms_eval.__main__", "lmms_eval"}
    return started_as_module or "lmms_eval.__main__" in sys.modules
