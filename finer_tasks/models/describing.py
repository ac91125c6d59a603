"""What of a backend decides its answers beside weights and questions, as far as it can be asked: for any model of lmms-eval."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

# Where backends keep what renders their prompts and makes their pixels.
_PROCESSORS = ("processor", "_processor", "_image_processor", "image_processor")
_TOKENIZERS = ("tokenizer", "_tokenizer")
# Parts of the names of those modules of lmms-eval that send images encoded (lmms_eval/protocol.py, to_openai_messages).
_ENGINES = ("openai", "vllm")
_HEX = 12


def describe(model: Any) -> dict[str, str]:
    """Precision, attention, device, how images are sent, and hashes of chat template and image processor.

    What a backend does not show is left out: most servers show nothing.
    """
    inner = _get(model, "model")
    processor = _first(_get(model, "encoder"), _PROCESSORS) or _first(model, _PROCESSORS)
    tokenizer = _get(processor, "tokenizer") or _first(model, _TOKENIZERS)
    pixels = _get(processor, "image_processor") or processor
    found = {
        "dtype": _text(_get(inner, "dtype")).removeprefix("torch."),
        "attention": _text(_get(_get(inner, "config"), "_attn_implementation")),
        "device": _text(_get(model, "device")).partition(":")[0],
        "template": _hashed(_get(processor, "chat_template") or _get(tokenizer, "chat_template")),
        "pixels": _hashed(_settings(pixels)),
        "sent_as": _sent_as(model),
    }
    return {name: value for name, value in found.items() if value}


def _sent_as(model: Any) -> str:
    """The format in which lmms-eval sends images to an engine, where it is not PNG, which loses nothing."""
    sent = any(name in type(model).__module__ for name in _ENGINES)
    found = os.environ.get("LMMS_IMAGE_ENCODE_FORMAT", "").upper()
    return found if sent and found not in ("", "PNG") else ""


def _get(owner: Any, name: str) -> Any:
    """An attribute of somebody else's object, whose properties may raise anything; None where there is none."""
    try:
        return getattr(owner, name, None)
    except Exception:
        return None


def _first(owner: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := _get(owner, name)) is not None), None)


def _text(value: Any) -> str:
    return "" if value is None or callable(value) else str(value)


def _settings(processor: Any) -> Mapping[str, Any] | None:
    """The settings of an image processor as its own file has them, without those that name no pixels."""
    to_dict = _get(processor, "to_dict")
    try:
        settings = to_dict() if callable(to_dict) else None
    except Exception:
        return None
    if not isinstance(settings, Mapping):
        return None
    names = ("image_processor_type", "processor_class", "chat_template", "device", "_name_or_path")
    return {key: value for key, value in settings.items() if key not in names}


def _hashed(value: Any) -> str:
    if not value:
        return ""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX]
