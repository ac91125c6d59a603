"""What identifies the weights that a run uses: their content, whatever path they lie at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import xxhash

from finer_tasks.models import BUILT_IN

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".msgpack", ".h5")
_CODE = (".py", ".jinja")
_SETTINGS = (".json", ".txt", ".model", ".tiktoken", ".yaml")
_CONFIGS = ("config.json", "adapter_config.json")
_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_BLOCK = 1 << 24


def weights_fingerprint(arguments: Mapping[str, object]) -> str:
    """Of all models and adapters that a backend's arguments name; empty where none is known here.

    A folder or file stands for all of its bytes, a name on the Hugging Face hub for the commit that
    is in the local cache under the revision asked for.
    """
    revision = str(arguments.get("revision") or "main")
    parts = {key: _of(value, revision) for key, value in arguments.items() if isinstance(value, str)}
    known = sorted((key, part) for key, part in parts.items() if part)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16] if known else ""


def _of(value: str, revision: str) -> str:
    path = BUILT_IN.get(value, Path(value).expanduser())
    if path.is_dir() and any(path.joinpath(name).is_file() for name in _CONFIGS):
        return _of_folder(path) + _of_base(path, revision)
    if path.is_file() and path.suffix in WEIGHTS:
        return _of_file(path)
    return "" if path.exists() else _commit(value, revision)


def _of_base(folder: Path, revision: str) -> str:
    """The base model that an adapter names, for backends take an adapter's folder for both."""
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return _of(base, revision) if isinstance(base, str) and base and Path(base) != folder else ""


def _of_folder(folder: Path) -> str:
    paths = sorted(_files(folder))
    with ThreadPoolExecutor(4) as pool:  # hashing sets the interpreter free
        contents = pool.map(_of_file, paths)
    named = [(path.relative_to(folder).as_posix(), content) for path, content in zip(paths, contents, strict=True)]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """What a model is read from: its weights and code at any depth, its settings at the top; no checkpoints of a training."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        kinds = (*WEIGHTS, *_CODE, *(_SETTINGS if len(inside) == 1 else ()))
        if path.suffix in kinds and not inside[0].startswith((".", "checkpoint-")) and path.is_file():
            yield path


def _of_file(path: Path) -> str:
    status = path.stat()
    return _content(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@lru_cache(maxsize=4096)
def _content(path: Path, *_: int) -> str:
    """Digest of all bytes: a sample of them would miss a layer. The numbers tell when it has to be read again."""
    digest, block = xxhash.xxh3_128(), bytearray(_BLOCK)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(block):
            digest.update(memoryview(block)[:read])
    return digest.hexdigest()


def _commit(name: str, revision: str) -> str:
    """The commit of a hub model in the local cache, where the backend has just put it; empty if there is none."""
    from huggingface_hub import try_to_load_from_cache

    if not _HUB_NAME.fullmatch(name):
        return ""
    for config in _CONFIGS:
        try:
            found = try_to_load_from_cache(name, config, revision=revision)
        except ValueError:  # no name of the hub
            return ""
        if isinstance(found, str):
            return Path(found).parent.name
    return ""
