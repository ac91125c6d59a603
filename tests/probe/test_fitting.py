"""Probes against an independent library, against what is planted, and against figures worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from finer_tasks.probe.attention import attention_scores
from finer_tasks.probe.controls import held_out, projection, shuffled
from finer_tasks.probe.fitting import Fold, fit_linear, linear_scores, mlp_scores, neighbour_scores

CLASSES, WIDTH = 5, 20


def fold(noise: float = 1.0, each: int = 12, seed: int = 0) -> Fold:
    """Clouds around a centre for each class, in features of very different spread."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    labels = torch.arange(CLASSES).repeat(each)
    spread = torch.logspace(0, -1, WIDTH)
    parts = [(centres[labels] + noise * torch.randn(len(labels), WIDTH, generator=generator)) * spread for _ in range(2)]
    held = torch.from_numpy(held_out([str(label) for label in labels.tolist()], seed))
    return Fold(parts[0], labels, held, parts[1], CLASSES)


@pytest.mark.parametrize("decay", [1.0, 1e-2, 1e-4])
def test_linear_fit_equals_that_of_scikit_learn(decay: float) -> None:
    given = fold()
    found = fit_linear(given.train, given.labels, CLASSES, decay, 1e-6)
    theirs = LogisticRegression(C=1 / (decay * len(given.labels)), tol=1e-8, max_iter=10_000)
    theirs.fit(given.train.double().numpy(), given.labels.numpy())
    ours = found(given.test).softmax(1).numpy()
    assert np.allclose(ours, theirs.predict_proba(given.test.double().numpy()), atol=2e-3)
    started_elsewhere = fit_linear(given.train, given.labels, CLASSES, decay, 1e-6, fit_linear(*_args(given), 0.1, 1e-4))
    assert torch.allclose(started_elsewhere(given.test).softmax(1), found(given.test).softmax(1), atol=2e-3)


def _args(given: Fold) -> tuple[torch.Tensor, torch.Tensor, int]:
    return given.train, given.labels, CLASSES


def test_weight_decay_is_chosen_on_the_held_out_part_alone() -> None:
    given = fold()
    _, decay = linear_scores(given)
    _, with_other_test = linear_scores(replace(given, test=given.test * 100))
    wrong = given.labels.clone()
    wrong[given.held] = (wrong[given.held] + 1) % CLASSES
    _, with_other_held = linear_scores(replace(given, labels=wrong))
    assert decay == with_other_test
    assert with_other_held > decay  # what holds nowhere else is best not believed


def test_all_probes_tell_clear_clouds_apart_and_none_shuffled_ones() -> None:
    given = fold(noise=0.3, each=40)
    random = replace(given, labels=torch.from_numpy(shuffled(given.labels.numpy(), 0)))
    for scores in (linear_scores(given)[0], mlp_scores(given, 0), neighbour_scores(given)):
        assert float((scores.argmax(1) == given.labels).float().mean()) > 0.95
    for scores in (linear_scores(random)[0], mlp_scores(random, 0), neighbour_scores(random)):
        assert float((scores.argmax(1) == given.labels).float().mean()) < 0.45


def test_mlp_is_the_same_every_time_and_leaves_the_random_state_alone() -> None:
    given, before = fold(), torch.get_rng_state()
    assert torch.equal(mlp_scores(given, 3), mlp_scores(given, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_nearest_neighbour_by_hand() -> None:
    train = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    given = Fold(train, torch.tensor([0, 1, 0]), torch.zeros(3, dtype=torch.bool), torch.tensor([[0.0, 5.0], [-3.0, 0.0]]), 2)
    assert torch.equal(neighbour_scores(given), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


def test_held_out_takes_a_fifth_of_each_concept_and_one_at_least() -> None:
    concepts = ["a"] * 10 + ["b"] * 2
    marks = held_out(concepts, 0)
    assert (marks[:10].sum(), marks[10:].sum()) == (2, 1)
    assert np.array_equal(marks, held_out(concepts, 0))


def test_projection_nearly_keeps_distances() -> None:
    points = np.random.default_rng(0).standard_normal((30, 1000)).astype(np.float32)
    narrow = points @ projection(1000, 400, 0)
    before, after = (
        np.linalg.norm(values[:, None] - values[None], axis=2)[np.triu_indices(30, 1)] for values in (points, narrow)
    )
    assert np.abs(after / before - 1).max() < 0.2


def test_attention_finds_the_one_position_that_tells() -> None:
    """At a random position stand a mark and the label, at all others labels of no meaning, so that the mean says little."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 600)
    values = np.zeros((600, 16, CLASSES + 1), dtype=np.float32)
    values[..., :CLASSES] = np.eye(CLASSES)[rng.integers(0, CLASSES, (600, 16))]
    places = rng.integers(0, 16, 600)
    values[np.arange(600), places] = np.hstack([np.eye(CLASSES)[labels], np.ones((600, 1))])
    train, test = np.arange(400), np.arange(400, 600)
    by_mean = Fold(
        torch.from_numpy(values[train].mean(1)), torch.from_numpy(labels[train]),
        torch.from_numpy(held_out([str(label) for label in labels[train]], 0)), torch.from_numpy(values[test].mean(1)), CLASSES,
    )  # fmt: skip
    read = values.__getitem__
    scores = attention_scores(read, train, torch.from_numpy(labels[train]), read, test, CLASSES, 0)
    mean = float((linear_scores(by_mean)[0].argmax(1).numpy() == labels[test]).mean())
    assert float((scores.argmax(1).numpy() == labels[test]).mean()) > mean + 0.2
