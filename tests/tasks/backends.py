"""Small models registered with lmms-eval, which log how they are asked."""

from __future__ import annotations

from typing import Any, ClassVar

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest


class Backend(lmms):
    """Answers with the number of turns that it is shown; `calls` has the function and the number of requests of each call."""

    is_simple = False
    calls: ClassVar[list[tuple[str, int]]] = []
    seen: ClassVar[list[Any]] = []

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def generate_until(self, requests: list[Instance]) -> list[str]:
        Backend.calls.append(("generate_until", len(requests)))
        return [self._answer(request) for request in requests]

    def _answer(self, request: Instance) -> str:
        _, messages, _, doc_id, task, split = request.args
        conversation = messages(self.task_dict[task][split][doc_id])
        Backend.seen.append(conversation)
        return f"- turn {len(conversation)}"

    def generate_until_multi_round(self, requests: list[Instance]) -> list[Any]:
        raise NotImplementedError

    def loglikelihood(self, requests: list[Instance]) -> list[Any]:
        raise NotImplementedError


class Serial(Backend):
    """As lmms-eval's vllm: its own function takes one document after another."""

    def generate_until_multi_round(self, requests: list[Instance]) -> list[Any]:
        Backend.calls.append(("own", len(requests)))
        return [["own reply", "another"] for _ in requests]


class Together(Serial):
    """As finer_hf."""

    takes_rounds_together = True


class Simple(Backend):
    """Without chat turns: asked by text and images apart."""

    is_simple = True

    def _answer(self, request: Instance) -> str:
        context, _, visuals, doc_id, task, split = request.args
        Backend.seen.append((context, visuals(self.task_dict[task][split][doc_id])))
        return f"- after {len(context.splitlines())} lines"


MANIFESTS = [
    ModelManifest(
        f"fake_{kind.__name__.lower()}",
        **{"simple_class_path" if kind.is_simple else "chat_class_path": f"{__name__}.{kind.__name__}"},
    )
    for kind in (Backend, Serial, Together, Simple)
]
