"""Path figures on hand-made paths, against their definitions as sets of nodes and products of levels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from finer_tasks.scoring.paths import (
    correctness,
    hierarchical_consistent_accuracy,
    hierarchical_f1,
    hierarchical_precision,
    hierarchical_recall,
    point_overlap_ratio,
    strict_point_overlap_ratio,
    top_overlap_ratio,
)
from tests.scoring.agreement import judge

TRUE = ("Bird", "Gull", "Herring Gull")
# Three answers to three questions, and HCA, POR, S-POR and TOR worked by hand.
ANSWERS = {
    ("Bird", "Gull", "Herring Gull"): (1, 1, 1, 1),
    ("Bird", "Gull", "California Gull"): (0, 2 / 3, 2 / 3, 1 / 2),
    ("Bird", "Sparrow", "Herring Gull"): (0, 2 / 3, 1 / 3, 0),
    ("Dog", "Gull", "Herring Gull"): (0, 2 / 3, 2 / 3, 1 / 2),
    ("Bird", "Sparrow", "Song Sparrow"): (0, 1 / 3, 1 / 3, 0),
    ("Dog", "Sparrow", "Herring Gull"): (0, 1 / 3, 1 / 3, 0),
    ("Dog", "Hound", "Beagle"): (0, 0, 0, 0),
}


def test_figures_of_three_answers_worked_by_hand() -> None:
    right = np.array([[one == other for one, other in zip(path, TRUE, strict=True)] for path in ANSWERS])
    wanted = np.array(list(ANSWERS.values())).T
    figures = (hierarchical_consistent_accuracy, point_overlap_ratio, strict_point_overlap_ratio, top_overlap_ratio)
    for figure, values in zip(figures, wanted, strict=True):
        assert figure(right) == pytest.approx(values)


@pytest.mark.parametrize("levels", [3, 7])
def test_every_pattern_of_right_levels_has_what_the_equations_say(levels: int) -> None:
    patterns = list(itertools.product([False, True], repeat=levels))
    right = np.array(patterns)
    runs = [max((b - a for a in range(levels) for b in range(a, levels + 1) if all(p[a:b])), default=0) for p in patterns]
    pairs = [sum(p[j] and p[j + 1] for j in range(levels - 1)) for p in patterns]
    assert strict_point_overlap_ratio(right) == pytest.approx(np.array(runs) / levels)
    assert top_overlap_ratio(right) == pytest.approx(np.array(pairs) / (levels - 1))
    assert (hierarchical_consistent_accuracy(right) <= strict_point_overlap_ratio(right)).all()
    assert (strict_point_overlap_ratio(right) <= point_overlap_ratio(right)).all()


def nodes(path: tuple[str, ...]) -> set[tuple[str, ...]]:
    """A node is its whole path from the top, so that one label at two levels is two nodes."""
    return {path[: end + 1] for end in range(len(path))}


@pytest.mark.parametrize("true", [TRUE, ("Bird", "Cardinal", "Cardinal")])
@pytest.mark.parametrize("asked", [1, 2, 3])
def test_precision_and_recall_are_those_of_sets_of_nodes(true: tuple[str, ...], asked: int) -> None:
    named = [
        true,
        true[:2],
        true[:1],
        (),
        (*true[:2], "Other"),
        (true[0], "Other", "Kind"),
        ("Dog",),
        ("Dog", "Hound", "Beagle"),
    ]
    depth = np.array([len(nodes(path) & nodes(true)) for path in named])
    specificity = np.array([len(path) for path in named])
    precision = [len(nodes(p) & nodes(true)) / len(p) if p else np.nan for p in named]
    recall = [len(nodes(p) & nodes(true[:asked])) / asked for p in named]
    f1 = [2 * p * r / (p + r) if p and r and p + r > 0 else 0.0 for p, r in zip(precision, recall, strict=True)]
    assert hierarchical_precision(depth, specificity) == pytest.approx(precision, nan_ok=True)
    assert hierarchical_recall(depth, asked) == pytest.approx(recall)
    assert hierarchical_f1(depth, specificity, asked) == pytest.approx(f1)
    assert correctness(depth, specificity).tolist()[:3] == [1, 1, 1]
    assert np.isnan(correctness(depth, specificity)[3])
    assert correctness(depth, specificity).tolist()[4:] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("dataset", "class_name", "level", "answer", "depth", "specificity"),
    [
        ("cub", "Laysan_Albatross", "fine", "Laysan Albatross", 3, 3),
        ("cub", "Laysan_Albatross", "fine", "an albatross", 2, 2),
        ("cub", "Laysan_Albatross", "fine", "some bird", 1, 1),
        ("cub", "Laysan_Albatross", "fine", "Sooty Albatross", 2, 3),
        ("cub", "Laysan_Albatross", "coarse", "Sooty Albatross", 2, 3),
        ("cub", "Laysan_Albatross", "superordinate", "Herring Gull", 1, 3),
        ("cub", "Laysan_Albatross", "fine", "a gull", 1, 2),
        ("cub", "Laysan_Albatross", "fine", "a dog", 0, 1),
        ("cub", "Laysan_Albatross", "fine", "not an albatross", 0, 0),
        # A kind that the dataset does not have is a name at the fine level.
        ("aircraft", "747-400", "coarse", "Boeing 747-8", 2, 3),
        # One label at two levels says as much as the deeper one for its own concept, and as much as was asked for others.
        ("cub", "Cardinal", "coarse", "Cardinal", 3, 3),
        ("cub", "Laysan_Albatross", "coarse", "Cardinal", 1, 2),
        ("cub", "Laysan_Albatross", "fine", "Cardinal", 1, 3),
        # Of several coarse labels each is right where it is named; what lies below the wider one alone is another group.
        ("nabirds", "Wood Duck (Breeding male)", "coarse", "Duck", 2, 2),
        ("nabirds", "Wood Duck (Breeding male)", "coarse", "Ducks, Geese, and Swans", 2, 2),
        ("nabirds", "Wood Duck (Breeding male)", "fine", "Canada Goose", 1, 3),
        # Two names say what they have in common.
        ("nabirds", "Wood Duck (Breeding male)", "fine", "Wood Duck or Mallard", 2, 2),
        ("nabirds", "Wood Duck (Breeding male)", "fine", "Canada Goose or Snow Goose", 1, 2),
        ("nabirds", "Wood Duck (Breeding male)", "fine", "Wood Duck or Canada Goose", 1, 1),
        ("cub", "Laysan_Albatross", "fine", "either a dog or a bird", 0, 0),
        # Cars: without its year a model is its body at most; several bodies have the superordinate in common.
        ("cars", "Honda Accord Coupe 2012", "fine", "Honda Accord Coupe", 2, 2),
        ("cars", "Honda Accord Coupe 2012", "fine", "Honda Accord", 1, 1),
        ("cars", "Honda Accord Coupe 2012", "fine", "Honda Accord Coupe 2012 or 2011", 2, 2),
        ("cars", "Honda Accord Coupe 2012", "fine", "Audi S5 Coupe", 2, 3),
    ],
)
def test_how_far_down_an_answer_goes_and_how_far_it_is_right(
    dataset: str, class_name: str, level: str, answer: str, depth: int, specificity: int
) -> None:
    found = judge(dataset, class_name, level, answer)
    assert (found.depth, found.specificity) == (depth, specificity)
