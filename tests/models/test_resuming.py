"""A run that was stopped in the middle goes on where it stopped, and takes no reply that was made otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from lmms_eval.api.instance import Instance
from loguru import logger
from PIL import Image, ImageOps

from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ModelError, OutputError
from finer_tasks.models import BUILT_IN
from finer_tasks.models.finer_hf import FinerHF, FinerHFSimple
from finer_tasks.models.journal import Journal, Kept
from finer_tasks.replies import ROUNDS
from finer_tasks.scoring.candidates import CANDIDATES
from finer_tasks.tasks import hooks
from tests.faults import full_disk
from tests.held_locks import held

GREEDY = {"max_new_tokens": 24, "do_sample": False}
INDICES = list(range(0, 640, 55))


class Stopped(BaseException):
    """As a kill would, ends a run in the middle."""


class Counted:
    """finer_hf that counts the replies that its model gives, and can be stopped before a call of it."""

    def __init__(self, docs: Any, kind: type[FinerHF] = FinerHF, stop_at: int | None = None, **options: Any) -> None:
        self.model = kind(**({"pretrained": "finer-mini", "batch_size": 4} | options))
        self.model.task_dict = {task: {"test": docs} for task in ("direct", "seek", "closed")}
        self.given, self._calls, self._stop_at = 0, 0, stop_at
        self._own, self.model.model.generate = self.model.model.generate, self._generate

    def _generate(self, **inputs: Any) -> Any:
        if inputs["max_new_tokens"] > 1:  # one is the prefix that questions share
            self._calls += 1
            if self._calls == self._stop_at:
                raise Stopped
            self.given += len(inputs["input_ids"])
        return self._own(**inputs)

    def answers(self, requests: Sequence[Instance]) -> list[Any]:
        return self.model.generate_until(list(requests))


@pytest.fixture
def docs(mini_data: Path) -> Any:
    return load_from_disk(str(load_prepared("mini").data))["test"]


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="INFO")
    yield lines
    logger.remove(sink)


def request(index: int, task: str, messages: Any, **arguments: Any) -> Instance:
    place = ("question", messages, GREEDY | arguments, index, task, "test")
    return Instance("generate_until", place, 0, {"task": task, "doc_id": index, "repeats": 1})


def direct(indices: Sequence[int] = INDICES, text: str = "", mirrored: bool = False, **arguments: Any) -> list[Instance]:
    def messages(doc: Any) -> list[dict[str, Any]]:
        images = [ImageOps.mirror(image) if mirrored else image for image in hooks.doc_to_visual(doc)]
        question = hooks.doc_to_text(doc, {"level": "coarse", "parent": "gold"}) + text
        return [
            {
                "role": "user",
                "content": [*({"type": "image", "url": one} for one in images), {"type": "text", "text": question}],
            }
        ]

    return [request(index, "direct", messages, **arguments) for index in indices]


def seeking(indices: Sequence[int] = INDICES) -> list[Instance]:
    def messages(doc: Any, **state: Any) -> Any:
        return hooks.attrseek_messages(doc, {"level": "fine", "parent": "gold"}, **state)

    return [request(index, "seek", messages, **{"max_new_tokens": 120, ROUNDS: True}) for index in indices]


def closed(indices: Sequence[int] = INDICES) -> list[Instance]:
    return [request(one.args[3], "closed", one.args[1], **{CANDIDATES: "mini/coarse"}) for one in direct(indices)]


def told_of(results: Sequence[Any]) -> list[Any]:
    """Replies with their counts and margins; a second turn on another cache may round sums otherwise, in their last digits."""
    told = [(result.text, result.token_counts.to_dict()) for result in results]
    return [(text, {key: round(value, 3) for key, value in counts.items()}) for text, counts in told]


def lines(folder: Path) -> list[str]:
    return [line for file in sorted(folder.glob("*/replies-*.jsonl")) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("requests", [direct(), seeking(), [*direct(), *seeking(), *direct(max_new_tokens=3)]])
def test_what_was_answered_before_a_stop_is_not_asked_again(requests: list[Instance], docs: Any, tmp_path: Path) -> None:
    whole = Counted(docs)
    expected = told_of(whole.answers(requests))
    for stop_at in (2, 3):  # in the middle of a document's rounds, too
        folder = tmp_path / str(stop_at)
        stopped = Counted(docs, resume=str(folder), stop_at=stop_at)
        with pytest.raises(Stopped):
            stopped.answers(requests)
        assert len(lines(folder)) == stopped.given > 0
        again = Counted(docs, resume=str(folder))
        assert told_of(again.answers(requests)) == expected
        assert again.given == whole.given - stopped.given == again.model.journal.generated
        assert again.model.journal.reused == stopped.given
        third = Counted(docs, resume=str(folder))
        assert told_of(third.answers(requests)) == expected
        assert third.given == 0


def test_a_second_turn_goes_on_from_the_very_tokens_of_the_first(docs: Any, tmp_path: Path) -> None:
    stopped = Counted(docs, resume=str(tmp_path), stop_at=2)
    with pytest.raises(Stopped):
        stopped.answers(seeking())
    asked: list[Any] = []
    again = Counted(docs, resume=str(tmp_path))
    own = again.model.model.generate
    again.model.model.generate = lambda **inputs: asked.append(inputs["input_ids"]) or own(**inputs)
    again.answers(seeking(INDICES[:4]))
    first = [json.loads(line)["kept"]["ids"] for line in lines(tmp_path)[:4]]
    assert len(asked) == 1
    texts = [" ".join(map(str, row.tolist())) for row in asked[0]]
    assert all(any(f" {' '.join(map(str, ids))} " in text for text in texts) for ids in first)


def test_closed_sets_and_continuations(docs: Any, tmp_path: Path) -> None:
    expected = Counted(docs).answers(closed())
    Counted(docs, resume=str(tmp_path)).answers(closed(INDICES[:5]))
    again = Counted(docs, resume=str(tmp_path))
    assert again.answers(closed()) == expected
    assert (again.model.journal.reused, again.model.journal.generated) == (5, 7)

    places = [("What?", label, hooks.doc_to_visual, index, "direct", "test") for index in INDICES for label in ("Bird", "Dog")]
    asked = [Instance("loglikelihood", one, 0, {"task": "direct", "doc_id": one[3], "repeats": 1}) for one in places]
    scores = Counted(docs, FinerHFSimple).model.loglikelihood(asked)
    Counted(docs, FinerHFSimple, resume=str(tmp_path)).model.loglikelihood(asked[:8])
    simple = Counted(docs, FinerHFSimple, resume=str(tmp_path)).model
    assert simple.loglikelihood(asked) == scores
    assert (simple.journal.reused, simple.journal.generated) == (8, 16)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"text": " Be brief."},
        {"mirrored": True},
        {"max_new_tokens": 23},
        {"until": ["\n\n"]},
        {"repetition_penalty": 1.1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_prompt_image_or_decoding_is_asked_anew(otherwise: dict[str, Any], docs: Any, tmp_path: Path) -> None:
    Counted(docs, resume=str(tmp_path)).answers(direct())
    again = Counted(docs, resume=str(tmp_path))
    changed = direct(**otherwise)
    assert again.answers(changed) == Counted(docs).answers(changed)
    assert (again.given, again.model.journal.reused) == (len(INDICES), 0)


def test_other_weights_formats_and_processors_are_told_and_not_used(docs: Any, tmp_path: Path, told: list[str]) -> None:
    folder, copy = tmp_path / "replies", tmp_path / "model"
    Counted(docs, resume=str(folder)).answers(direct(INDICES[:1]))
    shutil.copytree(BUILT_IN["finer-mini"], copy)
    same = Counted(docs, pretrained=str(copy), resume=str(folder))  # the same content at another place
    same.answers(direct(INDICES[:1]))
    assert same.given == 0
    (copy / "chat_template.jinja").write_text((copy / "chat_template.jinja").read_text() + " ")
    for options, what in (
        ({"pretrained": str(copy)}, "pretrained: "),
        ({"dtype": "bfloat16"}, "dtype: torch.float32, now torch.bfloat16"),
    ):
        told.clear()
        other = Counted(docs, resume=str(folder), **options)
        assert any("made otherwise and are not used" in line and what in line for line in told)
        other.answers(direct(INDICES[:1]))
        assert other.given == 1


def test_replies_drawn_at_random_are_not_kept(docs: Any, tmp_path: Path, told: list[str]) -> None:
    drawn = direct(do_sample=True, temperature=1.0)
    Counted(docs, resume=str(tmp_path)).answers(drawn)
    again = Counted(docs, resume=str(tmp_path))
    again.answers(drawn)
    assert again.given == len(drawn)
    assert sum("drawn at random" in line for line in told) == 2  # once a run
    assert lines(tmp_path) == []


PLACE = ("t", "test", 0)


def kept(number: int, reply: str = "Answer: Gull") -> Kept:
    return Kept(key=str(number), place=("t", "test", number), reply=reply, tokens=(70, 4))


def test_a_torn_last_line_is_cut_off_and_a_damaged_one_is_told_with_its_place(tmp_path: Path, told: list[str]) -> None:
    first = Journal(tmp_path, {"dtype": "x"})
    first.add([kept(number) for number in range(6)])
    first.close()
    file = next(tmp_path.glob("*/replies-0.jsonl"))
    whole = file.read_text().splitlines()
    whole[1] = whole[1].replace("Gull", "Bull")
    whole[3] = whole[3][:20]
    file.write_text("\n".join(whole[:5]) + "\n" + whole[5][:-4])
    second = Journal(tmp_path, {"dtype": "x"})
    assert [number for number in range(6) if second.find(str(number), PLACE)] == [0, 2, 4]
    assert any(f"{file}:2: damaged (it differs from its checksum). Its request is made again" in line for line in told)
    assert any(f"{file}:4: damaged (" in line for line in told)
    assert not any(":6:" in line for line in told)
    second.add([kept(5)])
    second.close()
    assert file.read_text().splitlines()[5:] == [whole[5]]


def test_two_processes_write_files_of_their_own_and_read_those_of_all(tmp_path: Path) -> None:
    first = Journal(tmp_path, {})
    first.add([kept(0)])
    first.close()
    folder = next(tmp_path.iterdir())
    with held(folder / "replies-0.jsonl"):
        second = Journal(tmp_path, {})
        second.add([kept(1)])
    assert second.find("0", PLACE) == kept(0)
    assert sorted(path.name for path in folder.glob("*.jsonl")) == ["replies-0.jsonl", "replies-1.jsonl"]
    second.close()
    assert Journal(tmp_path, {}).find("1", PLACE) == kept(1)


def test_a_disk_that_fills_up_is_told_and_the_run_goes_on(tmp_path: Path, told: list[str]) -> None:
    journal = Journal(tmp_path, {})
    with full_disk():
        for number in range(50):
            journal.add([kept(number)])
    assert sum("cannot be written: File too large" in line for line in told) == 1
    assert journal.find("49", PLACE) == kept(49)  # this run's own
    journal.close()
    found = Journal(tmp_path, {})
    assert not any("damaged" in line for line in told)
    assert found.find("0", PLACE) == kept(0)
    assert found.find("49", PLACE) is None


def test_what_cannot_be_kept_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file stands where a folder should be"):
        FinerHF(pretrained="finer-mini", resume=str(tmp_path / "file"))
    with pytest.raises(OutputError, match="File name too long"):
        FinerHF(pretrained="finer-mini", resume=str(tmp_path / ("a" * 300)))
    with pytest.raises(ModelError, match="resume=True: give the folder"):
        FinerHF(pretrained="finer-mini", resume=True)


def test_an_image_that_is_no_picture_is_not_kept(docs: Any, tmp_path: Path) -> None:
    model = Counted(docs, resume=str(tmp_path)).model
    job = model._job(0, direct()[0], model.task_dict)
    turn = [{"role": "user", "content": [{"type": "image", "url": "cat.png"}, {"type": "text", "text": "What?"}]}]
    assert model.answering.resuming.key(job, turn) is None
    palette = Image.new("P", (4, 4))
    palette.putpalette([255, 0, 0])
    other = palette.copy()
    other.putpalette([0, 255, 0])
    turns = [[{"role": "user", "content": [{"type": "image", "url": image}]}] for image in (palette, other)]
    assert len({model.answering.resuming.key(job, turn) for turn in turns}) == 2
