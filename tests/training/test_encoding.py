"""Where the loss lies in an encoded conversation, and conversations that do not fit the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import load_from_disk

from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.training.errors import MixtureError
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.lengths import measure


def test_the_loss_lies_on_the_answers_and_nothing_else(mixture: Path) -> None:
    encoder = ConversationEncoder(load_processor(LoadOptions("finer-mini")), mixture / "images")
    rows = list(load_from_disk(str(mixture / "arrow")).select(range(4)))
    batch = encoder.check(rows)
    for index, row in enumerate(rows):
        wanted = [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]
        assert encoder.answers(batch, index) == wanted
    ends = (batch["labels"] == encoder.tokenizer.eos_token_id).sum(1)
    assert ends.tolist() == [3] * 4  # every answer teaches the model to stop


def test_conversations_that_do_not_fit_the_model_are_named(mixture: Path, tmp_path: Path) -> None:
    rows = list(load_from_disk(str(mixture / "arrow")).select(range(2)))
    forgetful = load_processor(LoadOptions("finer-mini"))
    forgetful.chat_template = "{{ messages[-1]['content'][-1]['text'] }}"
    with pytest.raises(MixtureError, match="does not keep earlier turns as they were"):
        ConversationEncoder(forgetful, mixture / "images").encode(rows)
    whole = ConversationEncoder(load_processor(LoadOptions("finer-mini")), tmp_path)
    with pytest.raises(MixtureError, match="is missing"):
        measure(load_from_disk(str(mixture / "arrow")), whole)
    assert f"{tmp_path / rows[0]['image']}: image cannot be decoded" in whole(rows)["error"]  # as a worker hands it on
