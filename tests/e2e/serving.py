"""`transformers serve` on 127.0.0.1, and a model that it can serve and that answers what it was taught."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

READY = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
PATIENCE = 300.0
STEPS = 200


@dataclass(frozen=True)
class ModelServer:
    """A running server: its address ending in /v1, and what it has written so far."""

    url: str
    log: Path

    def model_args(self, model: Path, *more: str) -> str:
        """For lmms-eval's backends openai and async_openai; the server loads the model when it is first asked for."""
        return ",".join([f"model_version={model}", f"base_url={self.url}", "api_key=none", *more])

    @property
    def completions(self) -> int:
        """How many chat completions it has given."""
        return len(re.findall(r'"POST /v1/chat/completions HTTP/1\.1" 200', self.log.read_text()))


@contextmanager
def model_server(folder: Path, *options: str) -> Iterator[ModelServer]:
    """The server on a port that is free; it ends with the block, and what it wrote is shown if the block fails."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "--host", "127.0.0.1", "--port", "0", *options]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        )
    try:
        yield ModelServer(f"{_address(process, log)}/v1", log)
    except BaseException as error:
        error.add_note(f"{' '.join(command)} wrote:\n{log.read_text()[-5000:]}")
        raise
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server listens, as soon as it says so."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := READY.search(log.read_text()):
            return found[1]
        assert process.poll() is None, "the server ended before it was ready"
        time.sleep(0.1)
    raise AssertionError(f"the server was not ready after {PATIENCE:.0f} s")


def teach(model: Path, replies: Mapping[str, str], output: Path) -> Path:
    """A copy of a model that answers these questions, without images, with these replies."""
    processor = AutoProcessor.from_pretrained(model)
    learner = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32).requires_grad_(False)
    learned = [*learner.model.language_model.layers[-2:].parameters(), *learner.lm_head.parameters()]
    processor.tokenizer.padding_side = "right"
    asked = [_render(processor, question) for question in replies]
    whole = processor.tokenizer(
        [f"{question} {reply}</s>" for question, reply in zip(asked, replies.values(), strict=True)],
        padding=True, add_special_tokens=False, return_tensors="pt",
    )  # fmt: skip
    labels = whole["input_ids"].masked_fill(whole["attention_mask"] == 0, -100)
    for row, question in enumerate(asked):
        labels[row, : len(processor.tokenizer(question, add_special_tokens=False)["input_ids"])] = -100
    optimizer = torch.optim.AdamW([part.requires_grad_(True) for part in learned], lr=3e-3)
    for _ in range(STEPS):
        loss = learner(**whole, labels=labels).loss
        if loss.item() < 0.02:
            break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    shutil.copytree(model, output)
    learner.save_pretrained(output)
    return output


def _render(processor: AutoProcessor, question: str) -> str:
    turns = [{"role": "user", "content": question}]
    rendered: str = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)  # type: ignore[attr-defined]
    return rendered
