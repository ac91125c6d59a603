"""MATLAB files of the datasets, read through scipy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finer_tasks.errors import DatasetContentError, DatasetLayoutError


def load_mat(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    """The named variables of a .mat file as numpy arrays; FinerErrors name the file and the variable."""
    import scipy.io

    if not path.exists():
        raise DatasetLayoutError(f"{path} is missing; it is part of the official dataset")
    try:
        content = scipy.io.loadmat(str(path))
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise DatasetContentError(f"{path} is not a readable MATLAB file ({error}). Copy the official file again") from error
    for name in variables:
        if name not in content:
            raise DatasetContentError(f"{path} holds no variable {name!r}. Copy the official file again")
    return content
