"""Folders that trainers leave and transformers cannot load: told by name, with what makes them loadable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finer_tasks.errors import ModelError
from finer_tasks.models.checkpoints import checkpoints
from finer_tasks.models.fingerprint import WEIGHTS

# In the config.json of every model in the form of the authors' LLaVA, whatever its language model.
_AUTHORS_LLAVA = "mm_vision_tower"
_AUTHORS_TYPES = ("llava_llama", "llava_mistral", "llava_qwen", "llava_mpt")
CONVERSION = (
    "Take the one that was converted for transformers, such as llava-hf/llava-1.5-7b-hf, or convert it with "
    "convert_llava_weights_to_hf.py of transformers 4 (src/transformers/models/llava)"
)


def refuse_foreign(argument: str, value: str) -> None:
    """Raise ModelError where a folder is not in the form of transformers or peft, and it is known whose form it is."""
    folder = Path(value).expanduser()
    if folder.is_dir() and (told := _told(folder)):
        raise ModelError(f"{argument}={value} {told}")


def advice_on(error: Exception) -> str:
    """What helps where transformers did not know a model of the hub; empty where that is not known."""
    return CONVERSION if any(name in str(error) for name in _AUTHORS_TYPES) else ""


def is_authors_llava(folder: Path) -> bool:
    """Whether a folder's config.json is of the authors' LLaVA, as that beside their adapters is as well."""
    return _AUTHORS_LLAVA in _config(folder)


def _told(folder: Path) -> str:
    """Whose form a folder is in and what to do; empty where it may be loaded."""
    if (folder / "adapter_config.json").is_file():
        return ""
    whole = [path for path in folder.iterdir() if path.suffix in WEIGHTS and path.name.startswith(("model", "pytorch_model"))]
    if (folder / "mm_projector.bin").is_file() and not whole:
        return (
            "holds the projector of the authors' LLaVA alone (mm_projector.bin), and not the language model that it was "
            f"trained on. {CONVERSION}"
        )
    if is_authors_llava(folder):
        kind = _config(folder).get("model_type")
        return f"is in the form of the authors' LLaVA (model_type {kind}), which transformers does not load. {CONVERSION}"
    if whole:
        return ""
    if (folder / "zero_to_fp32.py").is_file() or any(folder.glob("global_step*")):
        return f"holds the shards of DeepSpeed and no weights. Join them: python {folder}/zero_to_fp32.py {folder} {folder}"
    if shards := sorted(path for path in folder.glob("pytorch_model_fsdp_*") if path.is_dir()):
        return f"holds the shards of FSDP and no weights. Join them: accelerate merge-weights {shards[0]} {folder}"
    if inside := [path for path in checkpoints(folder) if any(path.glob("*.json"))]:
        return f"is the folder of a training, whose checkpoints lie inside. Give one of them, such as {inside[-1]}"
    return ""


def _config(folder: Path) -> dict[str, Any]:
    """The model's config; empty where it is absent or broken, which loading tells."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
