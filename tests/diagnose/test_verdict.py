"""The verdict on evidence whose faults are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from finer_tasks.diagnose.diagnosis import diagnose
from finer_tasks.diagnose.evidence import STAGES, Evidence, stage_of
from finer_tasks.diagnose.holding import losing, p_above_chance
from finer_tasks.diagnose.verdict import LANGUAGE, NAMED, NOT_SEEN, PROJECTOR, UNDECIDED, UNKNOWN, UNNAMED
from finer_tasks.statistics.clusters import Clusters
from tests.diagnose.made import evidence

CONCEPTS = 64
FAULTY = range(0, CONCEPTS, 5)
KNOWN = [True] * CONCEPTS


def planted(stage: str, known: Sequence[bool] = KNOWN, documents: int = 12) -> Evidence:
    """Every fifth concept fails from a stage on; all others are right in nine of ten documents."""
    rates = {
        name: [0.0 if number in FAULTY and STAGES.index(name) >= STAGES.index(stage) else 0.9 for number in range(CONCEPTS)]
        for name in STAGES
    }
    return evidence(rates, documents, known)


def without(one: Evidence, *stages: str) -> Evidence:
    return replace(one, stages={name: stage for name, stage in one.stages.items() if name not in stages})


@pytest.mark.parametrize(
    ("stage", "fate"),
    [("encoder", NOT_SEEN), ("projector", PROJECTOR), ("language", LANGUAGE), ("closed", LANGUAGE), ("open", UNNAMED)],
)
def test_the_first_stage_that_loses_a_concept_decides(stage: str, fate: str) -> None:
    found = diagnose(planted(stage))
    fates = [one.fate for one in found.verdicts]
    faulty = [fates[number] for number in FAULTY]
    assert faulty.count(fate) >= len(faulty) - 1
    assert set(faulty) <= {fate, UNDECIDED}
    assert all(fates[number] == NAMED for number in range(CONCEPTS) if number not in FAULTY)
    share = found.overall.shares[fate]
    assert share.low <= len(FAULTY) / CONCEPTS <= share.high
    assert sum(one.value for one in found.overall.shares.values()) == pytest.approx(1)


def test_what_is_not_named_from_text_either_is_not_known() -> None:
    known = [number not in FAULTY for number in range(CONCEPTS)]
    found = diagnose(planted("closed", known))
    assert Counter(one.fate for one in found.verdicts)[UNKNOWN] >= len(FAULTY) - 1
    assert found.known == CONCEPTS - len(FAULTY)
    # Known or not, a concept that does not reach the language model is lost before it.
    assert PROJECTOR in {diagnose(planted("projector", known)).verdicts[number].fate for number in FAULTY}


def test_a_name_that_cannot_be_said_is_known_where_the_closed_set_has_it() -> None:
    """Forbidden names fail in the text arm as well."""
    found = diagnose(planted("open", [number not in FAULTY for number in range(CONCEPTS)]))
    assert UNKNOWN not in {one.fate for one in found.verdicts}
    assert UNKNOWN not in found.overall.shares
    assert found.known == CONCEPTS


def test_chance_holds_nothing_and_a_guess_among_siblings_is_no_name() -> None:
    found = diagnose(evidence({name: [0.0] * CONCEPTS for name in STAGES}, 12, KNOWN))
    assert {one.fate for one in found.verdicts} <= {NOT_SEEN, UNDECIDED}
    assert found.overall.verdict == NOT_SEEN
    assert found.overall.shares[NAMED].value == 0  # one in four is right by drawing lots among the siblings
    assert found.stages[-1].right.value == pytest.approx(0.25, abs=0.05)


def test_one_answer_for_all_siblings_names_none_of_them() -> None:
    sure = [1.0] * CONCEPTS
    constant = [1.0 if number % 4 == 0 else 0.0 for number in range(CONCEPTS)]
    one = evidence(dict.fromkeys(STAGES, sure), 12, KNOWN)
    answers = evidence({"open": constant}, 12).stages["open"]
    always = replace(answers, alarms=np.where(np.arange(CONCEPTS) % 4 == 0, 36, 0), hits=np.repeat(constant, 12))
    found = diagnose(replace(one, stages=dict(one.stages) | {"open": always}))
    assert NAMED not in {verdict.fate for verdict in found.verdicts}


def test_few_documents_leave_it_undecided_and_say_so() -> None:
    found = diagnose(planted("open", documents=1))
    assert {one.fate for one in found.verdicts} == {UNDECIDED}
    assert "too few for any result to count" in found.verdicts[0].reason
    assert found.overall.verdict == NAMED  # the concepts together are enough


def test_what_was_not_measured_cannot_be_told_apart() -> None:
    whole = planted("projector")
    one = diagnose(without(whole, "projector")).verdicts[0]
    assert (one.fate, one.possible) == (UNDECIDED, (PROJECTOR, LANGUAGE))
    assert "projector was not measured" in one.reason
    answers = diagnose(without(planted("projector", documents=30), "encoder", "projector", "language"))
    assert (NOT_SEEN, PROJECTOR, LANGUAGE) in {answers.verdicts[number].possible for number in FAULTY}
    assert "not seen or lost in the projector or lost in the language model" in answers.overall.shares
    assert any("without a probe of the encoder" in note for note in answers.notes)
    no_text = diagnose(replace(planted("closed"), text=None))
    assert (LANGUAGE, UNKNOWN) in {no_text.verdicts[number].possible for number in FAULTY}
    assert any("without the text arm" in note for note in no_text.notes)


def test_a_later_stage_that_holds_speaks_for_the_earlier_ones() -> None:
    rates = {name: [0.9] * CONCEPTS for name in STAGES} | {"projector": [0.1] * CONCEPTS}
    assert {one.fate for one in diagnose(evidence(rates, 12, KNOWN)).verdicts} == {NAMED}


def test_a_loss_at_a_width_of_its_own_is_none_at_equal_width() -> None:
    one = planted("projector")
    narrow = one.stages["projector"].hits
    equal = replace(one, equal_width={"encoder": narrow, "projector": narrow, "language": narrow})
    lost = {verdict.fate for verdict in diagnose(without(equal, "closed", "open")).verdicts}
    assert PROJECTOR not in lost
    assert PROJECTOR in {verdict.fate for verdict in diagnose(without(one, "closed", "open")).verdicts}


def test_no_more_concepts_pass_than_under_shuffled_labels() -> None:
    one = evidence({name: [0.9] * 4 + [0.0] * (CONCEPTS - 4) for name in STAGES}, 12, KNOWN)
    leaking = replace(one, shuffled={"encoder": one.stages["encoder"]})
    threshold = diagnose(leaking).stages[0].threshold
    assert threshold.above_shuffled is not None
    assert threshold.above_shuffled <= 0.05 * CONCEPTS
    assert diagnose(one).stages[0].threshold.above == 4 > threshold.above


@pytest.mark.parametrize(
    ("worse", "better", "both", "share"),
    # A loss that chance would show in one of 2^7; no loss, since half is kept; two in two places, one of them clear.
    [([7], [0], [0], [2**-7]), ([4], [0], [6], [1.0]), ([7, 2, 0], [0, 2, 0], [0, 0, 9], [2**-7, 1, 1])],
)
def test_the_share_of_losses_that_are_none_by_hand(
    worse: list[int], better: list[int], both: list[int], share: list[float]
) -> None:
    found = losing(np.array(worse), np.array(better), np.array(both))
    assert found.tolist() == pytest.approx(share)


def test_losses_told_where_nothing_is_lost_are_few() -> None:
    """Two stages that are right in six of ten documents each, apart from each other."""
    told = 0
    for seed in range(10):
        one = evidence({"encoder": [0.6] * CONCEPTS, "projector": [0.6] * CONCEPTS}, 10, seed=seed)
        told += sum(verdict.fate == PROJECTOR for verdict in diagnose(one).verdicts)
    assert told <= 0.01 * 10 * CONCEPTS


def test_what_holds_little_does_not_speak_for_an_encoder_that_holds_little() -> None:
    """A third of the documents, from the encoder to the language model: above chance everywhere, and not seen for most."""
    found = diagnose(without(evidence({name: [0.3] * CONCEPTS for name in STAGES}, 30, KNOWN), "closed", "open"))
    fates = Counter(one.fate for one in found.verdicts)
    assert fates[NOT_SEEN] > 0.6 * CONCEPTS
    assert set(fates) == {NOT_SEEN, UNDECIDED}
    assert found.stages[0].threshold.above == CONCEPTS
    assert found.overall.shares[NOT_SEEN].value == pytest.approx(0.7, abs=0.1)


def test_lots_are_drawn_among_all_concepts_of_the_dataset() -> None:
    """Two concepts of a hundred that are right in three of ten documents are far above chance."""
    concepts = Clusters.of(["a"] * 30 + ["b"] * 30)
    said = (["a"] * 9 + ["c"] * 21) + (["b"] * 9 + ["c"] * 21)
    few, many = (stage_of(concepts, said, [""] * 60, "probe", choices) for choices in ({}, {"": 100}))
    assert (p_above_chance(few, concepts) > 0.5).all()
    assert (p_above_chance(many, concepts) < 0.001).all()
