"""What a result tells of the weights does not hang on what a backend calls them."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from finer_tasks.models import BUILT_IN
from finer_tasks.tasks.recording import record

FOLDER = BUILT_IN["finer-mini"]


def recorded(arguments: str | None, model: Any = None) -> dict[str, Any]:
    """The identity of a task of ours after lmms-eval was called with these model arguments."""
    identity: dict[str, Any] = {"dataset": "mini"}
    task = SimpleNamespace(config=SimpleNamespace(metadata={"finer": identity}))
    theirs = SimpleNamespace(config=SimpleNamespace(metadata={"version": 1}))
    record(model or object(), {"group": {"ours": task}, "theirs": theirs}, argparse.Namespace(model_args=arguments))
    assert theirs.config.metadata == {"version": 1}
    return identity


def test_the_same_weights_have_one_fingerprint_by_any_argument() -> None:
    found = {recorded(f"{name}={FOLDER}")["weights"] for name in ("pretrained", "model", "model_path")}
    found.add(recorded(None, SimpleNamespace(loaded_from={"pretrained": "finer-mini"}))["weights"])
    assert len(found) == 1


def test_weights_that_cannot_be_seen_are_not_told() -> None:
    assert "weights" not in recorded(f"model_version={FOLDER},base_url=http://127.0.0.1:1/v1")
    assert "weights" not in recorded(None)
    assert "weights" not in recorded("pretrained=nobody/has-this-model")


def test_images_that_are_sent_with_loss_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sends = type("Sends", (), {"__module__": "lmms_eval.models.chat.async_openai"})()
    assert "sent_as" not in recorded(None, sends).get("backend", {})
    monkeypatch.setenv("LMMS_IMAGE_ENCODE_FORMAT", "jpeg")
    assert recorded(None, sends)["backend"] == {"sent_as": "JPEG"}
    assert "sent_as" not in recorded(None).get("backend", {})


def test_a_backend_whose_properties_raise_is_told_as_far_as_it_shows_itself() -> None:
    class Odd:
        device = "cuda:1"

        @property
        def model(self) -> Any:
            raise RuntimeError("not loaded yet")

    assert recorded(None, Odd())["backend"] == {"device": "cuda"}
