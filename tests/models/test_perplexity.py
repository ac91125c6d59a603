"""Losses on texts: each token once, whatever the windows and batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finer_tasks.errors import ModelError
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.models.perplexity import text_losses
from tests.training import tiny_models

CPU = torch.device("cpu")
TEXTS = ["A finch sat on the fence.", "Copper turns green in the weather, iron turns red, and gold stays as it is. " * 3, "ß"]


def test_a_text_that_fits_gets_the_models_own_loss_over_all_its_tokens_and_bytes() -> None:
    options = LoadOptions("finer-mini")
    model, tokenizer = load_model(options, CPU), load_processor(options).tokenizer
    found = text_losses(model, tokenizer, TEXTS, 1024, 2)
    for text, loss in zip(TEXTS, found, strict=True):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.no_grad():
            mean = float(model(input_ids=ids, labels=ids).loss)
        assert loss.tokens == ids.shape[1] - 1
        assert loss.nats == pytest.approx(mean * loss.tokens, rel=1e-4)
        assert loss.bytes == len(text.encode())


def test_windows_count_each_token_once_with_half_a_window_before_it() -> None:
    options = LoadOptions("finer-mini")
    model, tokenizer = load_model(options, CPU), load_processor(options).tokenizer
    (found,) = text_losses(model, tokenizer, TEXTS[1:2], 16, 3)
    ids = [tokenizer.bos_token_id, *tokenizer(TEXTS[1], add_special_tokens=False)["input_ids"]]
    nats, done = 0.0, 1
    while done < len(ids):
        start = 0 if done == 1 else done - 8
        piece = torch.tensor([ids[start : start + 16]])
        with torch.no_grad():
            likely = model(input_ids=piece).logits[0].log_softmax(-1)
        last = start + piece.shape[1]
        nats -= sum(float(likely[place - start - 1, ids[place]]) for place in range(done, last))
        done = last
    assert found.tokens == len(ids) - 1 > 32
    assert found.nats == pytest.approx(nats, rel=1e-4)


@pytest.mark.parametrize("name", ["llava-next", "qwen2.5-vl", "idefics3", "internvl"])
def test_other_architectures_take_texts_in_batches_as_one_by_one(name: str, tmp_path: Path) -> None:
    tiny_models.save(name, tmp_path)
    options = LoadOptions(str(tmp_path))
    model, tokenizer = load_model(options, CPU), load_processor(options).tokenizer
    together, apart = (text_losses(model, tokenizer, TEXTS, 64, size) for size in (3, 1))
    assert [loss.nats for loss in together] == pytest.approx([loss.nats for loss in apart], rel=1e-4)
    assert all(loss.nats > 0 for loss in together[:2])


def test_a_model_that_takes_no_text_without_an_image_is_told(tmp_path: Path) -> None:
    tiny_models.save("instructblip", tmp_path)
    options = LoadOptions(str(tmp_path))
    with pytest.raises(ModelError, match=r"takes no text without an image .* Leave out --texts"):
        text_losses(load_model(options, CPU), load_processor(options).tokenizer, TEXTS, 64, 2)
