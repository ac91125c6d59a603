"""Means over runs and concepts, with intervals that hold what another run and other concepts would change.

The same concepts are scored in several runs of a whole experiment. An interval over concepts alone says what other concepts
would give with these very runs, which leaves out as much as it tells where the runs differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from finer_tasks.statistics.bootstrap import CONFIDENCE
from finer_tasks.statistics.clusters import Clusters, Floats

POWER = 0.8  # the share of experiments that would find a difference called detectable
_STEPS = 120  # of a tenth each, from two concepts to 170,000


@dataclass(frozen=True)
class Crossed:
    """A mean over runs and concepts with the bounds of its 95 % interval.

    The bounds are nan where there is one run or one concept, and where no score differs from another: that shows no spread,
    and so nothing of what other runs and concepts would give.

    from_runs, from_concepts: the standard error that each alone would give, in the same unit; 0 where it shows none.
    freedom: degrees of freedom of the t distribution that the bounds were taken from.
    """

    value: float
    low: float
    high: float
    runs: int
    concepts: int
    from_runs: float
    from_concepts: float
    freedom: float


def by_concept(table: Floats, clusters: Clusters) -> Floats:
    """The concepts' means in each run, shape (runs, concepts), of a table of shape (runs, documents)."""
    return np.stack([clusters.means(row) for row in table])


def crossed_mean(means: Floats) -> Crossed:
    """The mean of a table of shape (runs, concepts) whose rows and columns are both draws from what could have been.

    With the mean squares of runs, concepts and residuals of the two-way analysis of variance, the variance of the mean is
    (MS_runs + MS_concepts - MS_residual) / (runs concepts), with degrees of freedom by Satterthwaite (1946): the design
    of a quasi-F test (Clark 1973, J. Verbal Learning and Verbal Behavior 12). Where a component comes out below zero, it
    is taken as zero.
    """
    runs, concepts = means.shape
    value = float(means.mean())
    if runs < 2 or concepts < 2:
        return Crossed(value, math.nan, math.nan, runs, concepts, math.nan, math.nan, math.nan)
    ms_runs, ms_concepts, ms_residual = _mean_squares(means)
    extra_runs, extra_concepts = max(0.0, ms_runs - ms_residual), max(0.0, ms_concepts - ms_residual)
    cells = runs * concepts
    error, freedom = _error(ms_residual, extra_runs, extra_concepts, means.shape)
    from_runs, from_concepts = math.sqrt(extra_runs / cells), math.sqrt(extra_concepts / cells)
    if not error:
        return Crossed(value, math.nan, math.nan, runs, concepts, from_runs, from_concepts, freedom)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Crossed(value, value - half, value + half, runs, concepts, from_runs, from_concepts, freedom)


def _error(ms_residual: float, extra_runs: float, extra_concepts: float, shape: tuple[int, int]) -> tuple[float, float]:
    """The standard error of the mean and its degrees of freedom; `extra` is what a mean square has over the residual one."""
    runs, concepts = shape
    parts = [
        (ms_residual + extra_runs if extra_runs else 0.0, runs - 1),
        (ms_residual + extra_concepts if extra_concepts else 0.0, concepts - 1),
        (ms_residual * (1 - bool(extra_runs) - bool(extra_concepts)), (runs - 1) * (concepts - 1)),
    ]
    total = sum(square for square, _ in parts)
    spread = sum(square**2 / freedom for square, freedom in parts)
    return math.sqrt(total / (runs * concepts)), total**2 / spread if spread else float(runs * concepts - 1)


@dataclass(frozen=True)
class Components:
    """What makes single figures of a table of runs and concepts differ, as variances: runs, concepts, and the rest."""

    runs: float
    concepts: float
    rest: float

    def detectable(self, runs: int, concepts: int) -> float:
        """The smallest true mean that so many runs and concepts would tell from zero in 80 of 100 experiments.

        By the noncentral t distribution with the degrees of freedom of `crossed_mean`: where few runs make most of the error,
        much more is needed than the error alone suggests. Nan where no score differs, which tells nothing of what would be.
        """
        if runs < 2 or concepts < 2 or not (self.runs or self.concepts or self.rest):
            return math.nan
        error, freedom = _error(self.rest, self.runs * concepts, self.concepts * runs, (runs, concepts))
        return error * _noncentrality(freedom)

    def concepts_for(self, difference: float, runs: int) -> float:
        """How many concepts so many runs need to tell a difference from zero, within a tenth; infinite where none are enough.

        More concepts leave the error to the runs, whose few degrees of freedom may cost what the smaller error gains.
        """
        if math.isnan(self.detectable(runs, 2)):
            return math.nan
        counts = (round(2 * 1.1**step) for step in range(_STEPS))
        return next((float(count) for count in counts if self.detectable(runs, count) <= difference), math.inf)


def _noncentrality(freedom: float) -> float:
    """How many standard errors a true mean must be from zero for a two-sided t test to find it as often as POWER says."""
    bound = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
    return float(optimize.brentq(lambda many: stats.nct.sf(bound, freedom, many) - POWER, 0.0, 20 * bound))


def components(means: Floats) -> Components:
    """Of a table of shape (runs, concepts), from the mean squares; a negative estimate counts as zero."""
    runs, concepts = means.shape
    if runs < 2 or concepts < 2:
        return Components(math.nan, math.nan, math.nan)
    ms_runs, ms_concepts, ms_residual = _mean_squares(means)
    return Components(max(0.0, ms_runs - ms_residual) / concepts, max(0.0, ms_concepts - ms_residual) / runs, ms_residual)


def _mean_squares(means: Floats) -> tuple[float, float, float]:
    """Of runs, concepts and residuals, in the two-way analysis of variance without replication."""
    runs, concepts = means.shape
    of_runs, of_concepts = means.mean(axis=1), means.mean(axis=0)
    residual = means - of_runs[:, None] - of_concepts[None, :] + means.mean()
    spread = float((residual**2).sum()) / ((runs - 1) * (concepts - 1))
    return concepts * float(of_runs.var(ddof=1)), runs * float(of_concepts.var(ddof=1)), spread
