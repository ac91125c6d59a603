"""Tables of images that `datasets` reads: a repository of the Hub, a folder laid out like one, or what save_to_disk wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finer_tasks.errors import DatasetLayoutError, DownloadError, in_one_line, typed

if TYPE_CHECKING:
    from datasets import Dataset


def load_repository(name: str, config: str | None, revision: str | None) -> Mapping[str, Dataset]:
    """The splits of a dataset of the Hub, downloaded or from the cache; raises DownloadError with what to do.

    Scripts are never run: `datasets` takes none since its version 4.
    """
    if not name:
        raise DownloadError("--from-hub: the name is empty. Give one of the Hub, such as OWNER/NAME")
    if Path(name).expanduser().exists():
        raise DownloadError(f"--from-hub {name}: this is a folder here. Read it with --from-dataset {name}")
    return _loaded(f"--from-hub {name}", name, config, revision)


def load_folder(folder: Path, config: str | None) -> Mapping[str, Dataset]:
    """The splits in a folder: of save_to_disk, or parquet and other files laid out as in a repository of the Hub."""
    from datasets import Dataset, DatasetDict, load_from_disk

    if not folder.is_dir():
        raise DatasetLayoutError(f"--from-dataset {folder}: not a folder")
    if not any((folder / name).exists() for name in ("dataset_dict.json", "state.json")):
        return _loaded(f"--from-dataset {folder}", str(folder.absolute()), config, None)
    try:
        found = load_from_disk(str(folder))
    except Exception as error:  # pyarrow and datasets raise many kinds on damaged files
        raise DatasetLayoutError(f"--from-dataset {folder}: cannot be read ({typed(error)}). Save it again") from error
    return {"": found} if isinstance(found, Dataset) else dict(DatasetDict(found))


def _loaded(asked: str, name: str, config: str | None, revision: str | None) -> Mapping[str, Dataset]:
    from datasets import load_dataset

    try:
        return dict(load_dataset(name, config, revision=revision))
    except Exception as error:  # what the Hub, the network, pyarrow and datasets raise has no common class
        raise DownloadError(f"{asked}: {_advice(error)}") from error


def _advice(error: Exception) -> str:
    """What went wrong and what helps, in one line."""
    from datasets.exceptions import DatasetNotFoundError

    text = in_one_line(error)
    if isinstance(error, DatasetNotFoundError):
        if "gated" in text:
            return "it is gated. Accept its terms on its page, log in with `hf auth login`, and run this again"
        return "no such dataset, or a private one. Check the name; for a private one, log in with `hf auth login`"
    if isinstance(error, ConnectionError):
        offline = "HF_HUB_OFFLINE is set" if "Offline" in text else "the Hub cannot be reached"
        return f"{offline}, and no copy is in the cache. Download it where there is a network, and give --from-dataset FOLDER"
    if "scripts are no longer supported" in text:
        return (
            "it is a script, which would run code of others and which `datasets` reads no more. Take its copy in parquet with "
            "--hub-revision refs/convert/parquet if it has one"
        )
    if "Config name is missing" in text or "BuilderConfig" in text:
        return f"choose its configuration with --hub-config ({text})"
    return f"cannot be read ({typed(error)})"
