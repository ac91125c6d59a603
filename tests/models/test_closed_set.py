"""All names in a few passes score as each name by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from finer_tasks.errors import ModelError
from finer_tasks.models import closed_set
from finer_tasks.models.closed_set import ClosedSets, NameList, score_names
from finer_tasks.models.finer_hf import FinerHF
from finer_tasks.models.jobs import Job
from finer_tasks.models.trie import NameTrie
from finer_tasks.scoring.candidates import CANDIDATES, candidates_of
from finer_tasks.scoring.closed import unpack
from tests.closed_runs import documents
from tests.training import tiny_models


def conversations(count: int, images: bool = True) -> list[Any]:
    """Questions of different lengths about noise of different shapes."""
    made = []
    for number in range(count):
        size, generator = (64 + 8 * number, 48 + 16 * (number % 2), 3), torch.Generator().manual_seed(number)
        image = Image.fromarray(torch.randint(256, size, generator=generator).to(torch.uint8).numpy())
        shown = [{"type": "image", "url": image}] if images else []
        made.append([{"role": "user", "content": [*shown, {"type": "text", "text": "Which finch is it? " * (number + 1)}]}])
    return made


def scores(model: FinerHF, asked: Sequence[Any], names: NameList) -> Any:
    return score_names(model.generator, asked, model.encoder.encode(asked), names)


@pytest.mark.parametrize(
    ("name", "trees"),
    [("llava-next", True), ("llava-onevision", True), ("internvl", True), ("idefics3", True), ("smolvlm", True), ("qwen2.5-vl", False)],
)  # fmt: skip
def test_a_trie_of_names_scores_as_each_name_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trees: bool
) -> None:
    tiny_models.save(name, tmp_path)
    model = FinerHF(pretrained=str(tmp_path))
    names = NameList(model.encoder, ("Finch", "Finch B", "Fin", "Crow", "Crowned Lapwing", "a", "Great Auk"))
    monkeypatch.setattr(closed_set, "PIECE", 7)
    ran: list[Any] = []
    own = closed_set._by_trie
    monkeypatch.setattr(closed_set, "_by_trie", lambda *given: ran.append(given) or own(*given))
    for asked in (conversations(3), conversations(2, images=False)):
        together = scores(model, asked, names)
        alone = [[scores_apart(model, one, ids) for ids in names.ids] for one in asked]
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    assert bool(ran) == trees


@pytest.mark.parametrize("name", ["blip-2", "instructblip"])
def test_a_model_that_needs_an_image_has_no_scores_without_one(name: str, tmp_path: Path) -> None:
    tiny_models.save(name, tmp_path)
    generator = FinerHF(pretrained=str(tmp_path)).generator
    (asked,) = conversations(1)
    job = Job(0, ("task", "test", 0), documents(["alder_finch"])[0], "", lambda _: asked, {CANDIDATES: "mini/coarse"})
    ClosedSets(generator).answer([job], [asked], generator.encoder.encode([asked]))
    assert sorted(unpack(job.replies[0])) == ["norm", "sum"]
    (blind,) = conversations(1, images=False)
    with pytest.raises(ModelError, match="take no question without an image"):
        generator.first([blind], generator.encoder.encode([blind]), {})


def scores_apart(model: FinerHF, conversation: Any, ids: list[int]) -> float:
    """The sum of log p by one plain pass over prompt and name."""
    inputs = model.encoder.encode([conversation])
    ((mean, _),) = closed_set.score_replies(model.generator, inputs, [ids])
    return -mean * (len(ids) + 1)


@pytest.mark.parametrize("options", [{"attn_implementation": "eager"}, {"dtype": "bfloat16"}])
def test_finer_mini_over_all_its_names(options: dict[str, str]) -> None:
    model = FinerHF(pretrained="finer-mini", **options)
    names = NameList(model.encoder, candidates_of("mini", "fine").names)
    asked = conversations(2)
    tolerance = 0.3 if "dtype" in options else 1e-4  # bfloat16 has 8 bits
    alone = closed_set._one_by_one(model.generator, asked, names)
    np.testing.assert_allclose(scores(model, asked, names), alone, rtol=1e-2 if "dtype" in options else 1e-4, atol=tolerance)


def test_any_token_that_ends_a_reply_ends_a_name() -> None:
    model, asked = FinerHF(pretrained="finer-mini"), conversations(2)
    names = NameList(model.encoder, ["Finch", "Finch B"])
    one = scores(model, asked, names)
    model.model.generation_config.eos_token_id = [model.tokenizer.eos_token_id, *range(10, 60)]
    several = scores(model, asked, names)
    assert (several > one).all()
    np.testing.assert_allclose(several, closed_set._one_by_one(model.generator, asked, names), rtol=1e-4)


def test_a_name_is_scored_as_the_reply_that_the_chat_template_writes() -> None:
    encoder = FinerHF(pretrained="finer-mini").encoder
    (ids,) = encoder.reply_ids(["Answer: Finch"])
    assert encoder.tokenizer.decode(ids) == " Answer: Finch"  # its template has a space behind "ASSISTANT:"
    encoder._opening = ("What is it? ASSIS", "", encoder.tail_ids("What is it? ASSIS"))
    assert encoder.tokenizer.decode(*encoder.reply_ids(["TANT: Finch"])) == "TANT: Finch"  # no tokens part there


def test_numbers_that_are_none_are_refused() -> None:
    model = FinerHF(pretrained="finer-mini")
    with torch.no_grad():
        model.model.lm_head.weight.fill_(float("nan"))
    asked = conversations(1)
    with pytest.raises(closed_set.ModelError, match="no numbers"):
        scores(model, asked, NameList(model.encoder, ["a", "b"]))


def test_a_trie_computes_each_beginning_once_and_sums_along_the_way() -> None:
    names = [[5, 6, 7], [5, 6], [5, 8], [9], [5, 6, 7]]
    trie = NameTrie(names)
    assert len(trie) == 6
    (piece,) = trie.pieces(100)
    assert piece.tokens.tolist() == [5, 6]
    assert piece.sees.tolist() == [[True, False], [True, True]]
    edges = np.array([[0.0, *(10.0**depth for depth in trie.depths[1:])]])
    assert trie.sums(edges).tolist() == [[1110.0, 110.0, 110.0, 10.0, 1110.0]]


@pytest.mark.parametrize("most", [1, 3, 50])
def test_pieces_hold_every_edge_once_however_they_are_cut(most: int) -> None:
    generator = np.random.default_rng(0)
    trie = NameTrie([generator.integers(0, 3, generator.integers(1, 9)).tolist() for _ in range(60)])
    children = np.concatenate([piece.children for piece in trie.pieces(most)])
    assert sorted([*children, *trie.first]) == list(range(1, len(trie)))
    for piece in trie.pieces(most):
        assert (piece.sees.sum(1) == piece.depths + 1).all()
        assert all(trie.depths[child] == piece.depths[row] + 2 for row, child in zip(piece.rows, piece.children, strict=True))
