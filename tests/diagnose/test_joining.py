"""From runs and a probe to evidence, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finer_tasks.diagnose.diagnosis import diagnose
from finer_tasks.diagnose.joining import join
from finer_tasks.diagnose.probed import choose
from finer_tasks.diagnose.verdict import LANGUAGE, UNDECIDED, UNNAMED
from finer_tasks.errors import ResultsError
from finer_tasks.probe.results import ProbeError, read_probe
from tests.diagnose.made_runs import EACH, IDS, MADE, NAMES, attributes, closed, naming, probe, run


def test_all_arms_are_joined_on_the_same_documents(tmp_path: Path) -> None:
    answers = naming("direct", {"b": "It is a Red Crow."})
    (one,) = join([run(answers, closed(), naming("text", {"d": "a gull"}), attributes())], probe(tmp_path / "p"))
    assert list(one.stages) == ["encoder", "projector", "language", "closed", "open"]
    assert set(one.equal_width) == set(one.shuffled) == {"encoder", "projector", "language"}
    assert one.names == tuple(NAMES.values())
    # The wrong answers for Blue Crow are false alarms for Red Crow; gulls, who are told another label, are not asked.
    assert one.stages["open"].alarms.tolist() == [EACH, 0, 0, 0]
    assert one.stages["open"].others.tolist() == [EACH] * 4
    assert one.stages["encoder"].others.tolist() == [3 * EACH] * 4
    assert one.shuffled["encoder"].alarms.tolist() == [3 * EACH, 0, 0, 0]
    assert one.stages["open"].hits.mean() == 0.75
    found = diagnose(one)
    assert found.attributes == 0.5
    assert one.text is not None
    assert one.text.hits.sum() == 3 * EACH
    assert found.verdicts[1].fate == UNNAMED


def test_the_points_that_stand_for_a_place(tmp_path: Path) -> None:
    (one,) = join([run(naming("direct"))], probe(tmp_path))
    sources = {name: stage.source for name, stage in one.stages.items()}
    # The layer that is used, pooled as behind the projector; the last position of the best layer.
    assert sources["encoder"] == "linear probe at encoder.used.mean"
    assert sources["projector"] == "linear probe at projector.mean"
    assert sources["language"] == "linear probe at language.1.last"


def test_the_class_token_stands_for_the_encoder_where_the_projector_takes_it(tmp_path: Path) -> None:
    summary = read_probe(probe(tmp_path))
    points = tuple(point.model_copy(update={"class_token_taken": point.name == "encoder.used.cls"}) for point in summary.points)
    chosen = choose(summary.model_copy(update={"points": points}), "fine")
    assert (chosen["encoder"], chosen["projector"]) == ("encoder.used.cls", "projector.mean")


def test_the_likelihood_of_whole_names_chooses_where_it_is_known() -> None:
    by_sum, by_norm = (join([run(naming("direct"), closed(kinds))])[0] for kinds in (("sum", "norm"), ("norm",)))
    assert by_sum.stages["closed"].source == "first of all names by sum of log-likelihoods"
    assert by_norm.stages["closed"].source == "first of all names by norm of log-likelihoods"


def test_without_a_probe_it_is_told_what_cannot_be_decided() -> None:
    (one,) = join([run(naming("direct", {"b": "Red Crow"}), closed())])
    found = diagnose(one)
    assert [verdict.fate for verdict in found.verdicts][1] == UNNAMED
    assert any("without a probe of the encoder" in note for note in found.notes)
    (blind,) = join([run(naming("direct", {"b": "Red Crow"}))])
    assert diagnose(blind).verdicts[1].fate == UNDECIDED
    assert LANGUAGE in diagnose(blind).verdicts[1].possible


def test_other_documents_models_or_prompts_are_refused_and_named(tmp_path: Path) -> None:
    fewer = replace(closed(), samples=closed().samples[1:])
    with pytest.raises(ResultsError, match=f"{len(IDS) - 1} and {len(IDS)} documents"):
        join([run(naming("direct"), fewer)])
    with pytest.raises(ResultsError, match=r"cannot be compared: prompts differs.*--allow prompts"):
        join([run(naming("direct"), closed(prompt_hash="other"))])
    (allowed,) = join([run(naming("direct"), closed(prompt_hash="other"))], allow=["prompts"])
    assert allowed.notes[0] == "joined although prompts differ"
    with pytest.raises(ResultsError, match="in more than one of the results"):
        join([run(naming("direct")), run(naming("direct"))])
    with pytest.raises(ResultsError, match="no direct task and no closed set"):
        join([run(naming("text"))])
    with pytest.raises(ProbeError, match=f"no prediction for 1 of the runs' {len(IDS)} documents, for example {IDS[0]}"):
        join([run(naming("direct"))], probe(tmp_path, ids=IDS[1:]))


@pytest.mark.parametrize(("key", "name"), [("prompt_hash", "prompts"), ("data", "data")])
def test_a_probe_of_another_origin_is_refused_unless_allowed(tmp_path: Path, key: str, name: str) -> None:
    other = {"prompt_hash": "other", "data": {"test": "other"}}[key]
    folder = probe(tmp_path, MADE | {key: other})
    with pytest.raises(ProbeError, match=f"cannot be joined: {name} differs: other and .*--allow {name}"):
        join([run(naming("direct"))], folder)
    notes = join([run(naming("direct"))], folder, [name])[0].notes
    assert f"joined although the {name} of probe and runs differ" in notes
    assert "whether probe and runs are of the same model could not be checked" in notes


def test_a_probe_of_other_weights_is_refused(tmp_path: Path) -> None:
    of_mini = replace(run(naming("direct")), settings={"model_args": "pretrained=finer-mini"})
    with pytest.raises(ProbeError, match="cannot be joined: model differs: other and "):
        join([of_mini], probe(tmp_path, MADE | {"weights": "other"}))
