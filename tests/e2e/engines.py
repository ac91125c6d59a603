"""The doors of vLLM and SGLang without the engines, which need a GPU: behind them, transformers answers on the CPU.

lmms-eval's own classes run above them as they are. What they hand over is kept, and answered as the engine would: prompts
are rendered and tokenized as its chat does, rows do not see each other, and the limit and the temperature hold.
"""

from __future__ import annotations

import base64
import importlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

# The modules of lmms-eval that look for an engine when they are imported.
_LOOKING = {
    "vllm": ("simple.vllm", "chat.vllm", "chat.vllm_generate"),
    "sglang": ("chat.sglang",),
}


@dataclass(frozen=True)
class SamplingParams:
    """vLLM's, with those names that lmms-eval may give and vLLM's defaults; any other name is an error, as there."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    max_tokens: int = 16


@dataclass(frozen=True)
class Asked:
    """A request as the engine gets it."""

    prompt: str
    images: tuple[Image.Image, ...]
    limit: int
    temperature: float
    messages: Sequence[Mapping[str, Any]] = ()


class Engine:
    """What both have in common: the weights, and the batches in which they were asked."""

    batches: ClassVar[list[list[Asked]]] = []
    options: ClassVar[dict[str, Any]] = {}

    def _load(self, folder: str, options: dict[str, Any]) -> None:
        Engine.batches.clear()
        Engine.options.clear()
        Engine.options.update(options)
        self._processor = AutoProcessor.from_pretrained(folder)
        self._model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def _answer(self, batch: list[Asked]) -> list[str]:
        Engine.batches.append(batch)
        return [self._reply(asked) for asked in batch]

    def _reply(self, asked: Asked) -> str:
        assert asked.temperature == 0, "the tasks ask for greedy decoding"
        inputs = self._processor(
            text=asked.prompt, images=list(asked.images) or None, add_special_tokens=False, return_tensors="pt"
        )
        ids = self._model.generate(**inputs, do_sample=False, max_new_tokens=asked.limit)
        text: str = self._processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return text


class LLM(Engine):
    """vllm.LLM."""

    def __init__(self, model: str, **options: Any) -> None:
        self._load(model, options)

    def chat(
        self,
        messages: Sequence[Sequence[Mapping[str, Any]]],
        sampling_params: Sequence[SamplingParams],
        chat_template: str | None = None,
    ) -> list[Any]:
        assert len(messages) == len(sampling_params)
        batch = []
        for turns, params in zip(messages, sampling_params, strict=True):
            parts = [part for turn in turns for part in turn["content"] if part["type"] == "image_url"]
            shown = [turn | {"content": [_openai_part(part) for part in turn["content"]]} for turn in map(dict, turns)]
            prompt = self._processor.apply_chat_template(
                shown, chat_template=chat_template, tokenize=False, add_generation_prompt=True
            )
            images = tuple(_decoded(part["image_url"]["url"]) for part in parts)
            batch.append(Asked(prompt, images, params.max_tokens, params.temperature, turns))
        return self._outputs(batch)

    def generate(self, prompts: Sequence[Mapping[str, Any]], sampling_params: Sequence[SamplingParams]) -> list[Any]:
        return self._outputs(
            [
                Asked(
                    one["prompt"], tuple(one["multi_modal_data"].get("image", ())), params.max_tokens, params.temperature
                )
                for one, params in zip(prompts, sampling_params, strict=True)
            ]
        )  # fmt: skip

    def get_metrics(self) -> list[Any]:
        return []

    def _outputs(self, batch: list[Asked]) -> list[Any]:
        return [SimpleNamespace(outputs=[SimpleNamespace(text=text)]) for text in self._answer(batch)]


class SglangEngine(Engine):
    """sglang.Engine."""

    def __init__(self, model_path: str, **options: Any) -> None:
        self._load(model_path, options)

    def generate(
        self, prompt: Sequence[str], image_data: Sequence[Sequence[Image.Image]], sampling_params: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        batch = [
            Asked(text, tuple(images), params["max_new_tokens"], params["temperature"])
            for text, images, params in zip(prompt, image_data, sampling_params, strict=True)
        ]
        return [{"text": text, "meta_info": {"completion_tokens": 1}} for text in self._answer(batch)]


def _openai_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "image"} if part["type"] == "image_url" else dict(part)


def _decoded(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64", head
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def _modules() -> dict[str, ModuleType]:
    """The engines by the names under which lmms-eval imports them."""
    contents: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams},
        "sglang": {"Engine": SglangEngine},
        "sglang.srt": {},
        "sglang.srt.function_call": {},
        "sglang.srt.function_call.function_call_parser": {"FunctionCallParser": None},
        "sglang.srt.entrypoints": {},
        "sglang.srt.entrypoints.openai": {},
        "sglang.srt.entrypoints.openai.protocol": {"Tool": None},
    }
    modules = {}
    for name, objects in contents.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(objects, __path__=[])
    return modules


@contextmanager
def without_gpu(engine: str) -> Iterator[None]:
    """Within the block, lmms-eval's classes of an engine find its door here."""
    looking = [f"lmms_eval.models.{name}" for name in _LOOKING[engine]]
    doors = {name: module for name, module in _modules().items() if name.split(".")[0] == engine}
    before = {name: sys.modules.pop(name, None) for name in (*looking, *doors)}
    sys.modules.update(doors)
    try:
        for name in looking:
            importlib.import_module(name)
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
