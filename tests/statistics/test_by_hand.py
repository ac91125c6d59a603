"""Every statistic against its definition written out in loops, on concepts of unequal sizes and scores between 0 and 1."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from finer_tasks.scoring.aggregate import clustered_standard_error, macro_mean, macro_standard_error, mean
from finer_tasks.statistics.bootstrap import RESAMPLES, Bootstrap
from finer_tasks.statistics.clusters import Clusters
from finer_tasks.statistics.paired import Demand, compare, holm, interval, mcnemar, sign_flip, standard_error
from finer_tasks.statistics.power import noise_of

# Concepts of one, two, three and seven documents; those of one concept do not stand together.
CONCEPTS = ["wren", "auk", "wren", "crow", "wren", "auk", "wren", "pug", "wren", "wren", "crow", "crow", "wren"]
SCORES = [0.5, 0.25, 1.0, 0.0, 0.75, 0.4, 0.9, 0.05, 0.6, 0.3, 0.7, 0.2, 0.85]
CHANGED = [0.4, 0.35, 0.8, 0.0, 0.65, 0.1, 0.95, 0.0, 0.55, 0.3, 0.6, 0.1, 0.7]
ITEMS = [{"concept_id": concept, "score": score} for concept, score in zip(CONCEPTS, SCORES, strict=True)]
GROUPS = {name: [s for c, s in zip(CONCEPTS, SCORES, strict=True) if c == name] for name in sorted(set(CONCEPTS))}
N, K = len(SCORES), len(GROUPS)
MEAN = sum(SCORES) / N
CLUSTERS = Clusters.of(CONCEPTS)
BEFORE, AFTER = np.array(SCORES), np.array(CHANGED)
DIFFERENCES = AFTER - BEFORE
LOST = {name: [float(d) for c, d in zip(CONCEPTS, DIFFERENCES, strict=True) if c == name] for name in GROUPS}


def test_the_partition_and_the_means_by_concept() -> None:
    assert CLUSTERS.names == ("auk", "crow", "pug", "wren")
    assert CLUSTERS.sizes.tolist() == [2, 3, 1, 7]
    assert [CLUSTERS.names[i] for i in CLUSTERS.index] == CONCEPTS
    assert CLUSTERS.sums(BEFORE) == pytest.approx([sum(group) for group in GROUPS.values()])
    assert CLUSTERS.means(BEFORE) == pytest.approx([sum(group) / len(group) for group in GROUPS.values()])
    assert (mean(ITEMS), macro_mean(ITEMS)) == pytest.approx((MEAN, sum(sum(g) / len(g) for g in GROUPS.values()) / K))


def test_the_clustered_standard_error() -> None:
    squares = sum(sum(score - MEAN for score in group) ** 2 for group in GROUPS.values())
    assert clustered_standard_error(ITEMS) == pytest.approx(math.sqrt(squares) / N)
    means = [sum(group) / len(group) for group in GROUPS.values()]
    variance = sum((value - sum(means) / K) ** 2 for value in means) / (K - 1)
    assert macro_standard_error(ITEMS) == pytest.approx(math.sqrt(variance / K))


def test_without_documents_to_compare_there_is_no_standard_error() -> None:
    for error in (clustered_standard_error, macro_standard_error):
        assert math.isnan(error([]))
        assert math.isnan(error(ITEMS[:1]))


def test_documents_of_one_concept_do_not_tell_how_concepts_differ() -> None:
    items = [{"score": score, "concept_id": "a"} for score in (0.0, 1.0, 1.0)]
    assert math.isnan(clustered_standard_error(items))


def test_the_bootstrap_draws_whole_concepts() -> None:
    drawn = np.random.default_rng(3).multinomial(K, [1 / K] * K, size=RESAMPLES)
    means = []
    for counts in drawn:
        documents = [score for count, group in zip(counts, GROUPS.values(), strict=True) for score in group * int(count)]
        means.append(sum(documents) / len(documents))
    found = Bootstrap(CLUSTERS, 3).mean(BEFORE)
    assert (found.low, found.high) == pytest.approx((percentile(means, 0.025), percentile(means, 0.975)))
    assert found.value == pytest.approx(MEAN)
    assert Bootstrap(CLUSTERS, 3).interval(BEFORE, 0.05) == pytest.approx((percentile(means, 0.05), percentile(means, 0.95)))


def test_the_error_of_a_difference_is_that_of_leaving_out_one_concept_at_a_time() -> None:
    whole = sum(DIFFERENCES) / N
    without = [[d for other, lost in LOST.items() if other != name for d in lost] for name in LOST]
    jackknife = math.sqrt((K - 1) / K * sum((sum(rest) / len(rest) - whole) ** 2 for rest in without))
    by_document = math.sqrt(sum(d * d for d in DIFFERENCES) + 1 - N * whole**2) / N
    assert standard_error(DIFFERENCES, CLUSTERS) == pytest.approx(max(jackknife, by_document))
    apart = Clusters.of(["a"] * 6 + ["b"] * 4 + ["c"] * 3)  # where the jackknife is the larger
    moved = np.array([-0.9] * 6 + [0.8] * 4 + [0.1] * 3)
    groups, whole = ([-0.9] * 6, [0.8] * 4, [0.1] * 3), sum(moved) / N
    rests = [[d for other in groups if other is not group for d in other] for group in groups]
    jackknife = math.sqrt(2 / 3 * sum((sum(rest) / len(rest) - whole) ** 2 for rest in rests))
    assert standard_error(moved, apart) == pytest.approx(jackknife)


def test_the_interval_is_the_wider_of_bootstrap_and_t() -> None:
    alpha, whole = 0.1, float(DIFFERENCES.mean())
    equal_concepts = N**2 / sum(len(lost) ** 2 for lost in LOST.values())
    half = float(stats.t.ppf(1 - alpha, equal_concepts - 1)) * standard_error(DIFFERENCES, CLUSTERS)
    low, high = Bootstrap(CLUSTERS, 5).interval(DIFFERENCES, alpha)
    assert interval(DIFFERENCES, CLUSTERS, alpha, 5) == pytest.approx((min(low, whole - half), max(high, whole + half)))


def test_the_sign_flips_go_through_all_signs() -> None:
    sums = [sum(lost) for lost in LOST.values()]
    flipped = [sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in itertools.product((1, -1), repeat=K)]
    as_low = sum(total <= sum(sums) + 1e-12 for total in flipped) / len(flipped)
    as_far = sum(abs(total) >= abs(sum(sums)) - 1e-12 for total in flipped) / len(flipped)
    assert sign_flip(np.array(sums), 0) == pytest.approx(as_low)
    assert sign_flip(np.array(sums), 0, "two-sided") == pytest.approx(as_far)


def test_mcnemar_and_holm() -> None:
    chance = sum(Fraction(math.comb(9, turned), 2**9) for turned in range(6, 10))
    assert mcnemar(6, 3) == pytest.approx(float(chance))
    values = [0.02, 0.5, 0.004, 0.03]
    stepped, worst = {}, 0.0
    for step, index in enumerate(sorted(range(4), key=values.__getitem__)):
        worst = max(worst, min(1.0, (4 - step) * values[index]))
        stepped[index] = worst
    assert holm(values, 0.05) == pytest.approx([stepped[index] for index in range(4)])


def test_a_comparison_of_graded_scores_has_all_of_these() -> None:
    found = compare(BEFORE, AFTER, CONCEPTS, Demand(0.1, 0.8), 5)
    assert (found.documents, found.concepts) == (N, K)
    assert (found.baseline, found.candidate) == pytest.approx((MEAN, sum(CHANGED) / N))
    assert (found.worse, found.better) == (9, 2)
    assert (found.low, found.high) == interval(DIFFERENCES, CLUSTERS, 0.1, 5)
    assert found.p_mcnemar is None
    assert found.p == found.p_sign_flip == sign_flip(CLUSTERS.sums(DIFFERENCES), 5)


def test_the_noise_is_that_of_an_analysis_of_variance_with_unequal_groups() -> None:
    whole = sum(DIFFERENCES) / N
    means = {name: sum(lost) / len(lost) for name, lost in LOST.items()}
    inside = sum((d - means[name]) ** 2 for name, lost in LOST.items() for d in lost)
    found = noise_of(BEFORE, AFTER, CLUSTERS, binary=False)
    assert found.within == pytest.approx((inside + 1) / (N - K))
    assert found.spread == pytest.approx(sum(len(lost) * (means[name] - whole) ** 2 for name, lost in LOST.items()))
    assert found.unit == pytest.approx(N - sum(len(lost) ** 2 for lost in LOST.values()) / N)
    assert found.turned == pytest.approx(11 / N - abs(whole))
    assert found.most == pytest.approx(MEAN - min(SCORES + CHANGED))
    equal = noise_of(BEFORE[:12], AFTER[:12], Clusters.of(list("abcd") * 3), binary=False)
    assert equal.freedom == pytest.approx(3)  # of equal groups, one less than there are


def percentile(values: list[float], share: float) -> float:
    """Between the two nearest of the sorted values, in proportion."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def test_the_mean_of_known_values_and_any_statistic_use_the_draws_of_the_mean() -> None:
    resample = Bootstrap(CLUSTERS, 0)
    assert resample.mean_of_known(BEFORE) == resample.mean(BEFORE)
    weighted = resample.statistic(lambda weights: float((weights * BEFORE).sum() / weights.sum()))
    plain = resample.mean(BEFORE)
    assert (weighted.value, weighted.low, weighted.high) == pytest.approx((plain.value, plain.low, plain.high))
    some = np.where(np.arange(N) < 4, BEFORE, np.nan)  # three documents of wren and one of auk
    found = resample.mean_of_known(some)
    assert found is not None
    assert found.value == pytest.approx(BEFORE[:4].mean())
    assert 0.0 <= found.low < found.value < found.high <= 1.0
    assert resample.mean_of_known(np.full(N, np.nan)) is None
