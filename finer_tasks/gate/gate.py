"""The verdict on a candidate: one for each task, and one for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from finer_tasks.errors import ResultsError
from finer_tasks.gate.measured import Measured
from finer_tasks.gate.pairing import CONDITIONS, DOCUMENTS, Pairs, pair
from finer_tasks.gate.policy import Policy, Rule
from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
from finer_tasks.scoring.closed import RANKS
from finer_tasks.scoring.task_kinds import TASK_KINDS
from finer_tasks.statistics.paired import Comparison, Demand, compare, holm

Outcome = Literal["passed", "regressed", "inconclusive"]
# The widest difference that two scores of a metric can have; 1 of all others.
_RANGES = {"depth": 3.0} | dict.fromkeys(("attr_discriminability_rank", *RANKS), float("inf"))
# What is compared where no rule names a metric: the first that a task has.
_DEFAULTS = tuple(kind.main[0] for kind in TASK_KINDS)
EXIT_CODES: dict[Outcome, int] = {"passed": 0, "regressed": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Verdict:
    """One task's comparison, its p value after Holm, the outcome and the reason in words."""

    task: str
    metric: str
    rule: Rule
    pairs: Pairs
    comparison: Comparison
    p_holm: float
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Gate:
    """All verdicts. `outcome` is the worst of them."""

    baseline: Measured
    candidate: Measured
    policy: Policy
    verdicts: tuple[Verdict, ...]
    not_compared: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        found = {verdict.outcome for verdict in self.verdicts}
        return "regressed" if "regressed" in found else "inconclusive" if "inconclusive" in found else "passed"

    @property
    def exit_code(self) -> int:
        """0 passed, 1 regressed, 3 inconclusive unless the policy lets that pass."""
        if self.outcome == "inconclusive" and self.policy.inconclusive == "pass":
            return 0
        return EXIT_CODES[self.outcome]


def run_gate(baseline: Measured, candidate: Measured, policy: Policy) -> Gate:
    """Compare all tasks of the baseline; raises ResultsError where the runs cannot be compared."""
    check_allowed(policy.allow, (*CONDITIONS, DOCUMENTS, FAILED))
    policy.check({*baseline.tasks, *candidate.tasks})
    wanted = [name for name in baseline.tasks if not policy.rule(name).skip]
    absent = [name for name in wanted if name not in candidate.tasks]
    if absent and policy.missing_tasks == "refuse":
        raise ResultsError(
            f"the candidate lacks {', '.join(absent)}. Evaluate them too, skip them by a rule, "
            "or let them be missing with missing_tasks: ignore"
        )
    common = [name for name in wanted if name in candidate.tasks]
    if not common:
        raise ResultsError("the two runs have no task in common")
    for side in (baseline, candidate):
        require_answered([side.tasks[name] for name in common], policy.allow)
    first = [_judge(pair(baseline, candidate, name, policy.allow), policy, len(common)) for name in common]
    adjusted = holm([verdict.comparison.p for verdict in first], policy.alpha)
    verdicts = tuple(_decide(replace(v, p_holm=p), policy) for v, p in zip(first, adjusted, strict=True))
    rest = tuple(sorted({*absent, *(name for name in candidate.tasks if name not in common)}))
    return Gate(baseline, candidate, policy, verdicts, rest)


def _judge(pairs: Pairs, policy: Policy, tests: int) -> Verdict:
    rule = policy.rule(pairs.task)
    metric = rule.metric or next((name for name in _DEFAULTS if name in pairs.baseline[0].scores), _DEFAULTS[-1])
    _check_units(rule, metric, pairs.task)
    try:
        before, after = (np.array([d.scores[metric] for d in side]) for side in (pairs.baseline, pairs.candidate))
    except KeyError:
        known = ", ".join(pairs.baseline[0].scores)
        raise ResultsError(f"{pairs.task} has no metric {metric!r} on every document; it has {known}") from None
    sign = 1.0 if rule.direction == "higher" else -1.0
    concepts = [document.concept for document in pairs.baseline]
    beyond = rule.max_drop if rule.test == "significance" else 0.0
    found = compare(sign * before, sign * after, concepts, Demand(policy.alpha, policy.power, tests, beyond), policy.seed)
    if sign < 0:
        found = replace(found, baseline=-found.baseline, candidate=-found.candidate)
    return Verdict(pairs.task, metric, rule, pairs, found, found.p, "inconclusive", "")


def _check_units(rule: Rule, metric: str, task: str) -> None:
    """Raise ResultsError for a drop that no score of the metric can have, such as points where shares are meant."""
    for name, value in (("max_drop", rule.max_drop), ("detectable", rule.detectable)):
        widest = _RANGES.get(metric, 1.0)
        if value >= widest:
            raise ResultsError(
                f"policy: {name} {value:g} for {task} is no drop that {metric} can have, whose scores differ by {widest:g} "
                "at most. Give it in units of the metric: of a score between 0 and 1, 0.02 is two points"
            )


def _decide(verdict: Verdict, policy: Policy) -> Verdict:
    decide = _non_inferiority if verdict.rule.test == "non_inferiority" else _significance
    outcome, reason = decide(verdict, policy.alpha)
    return replace(verdict, outcome=outcome, reason=reason)


def _non_inferiority(verdict: Verdict, alpha: float) -> tuple[Outcome, str]:
    found, margin = verdict.comparison, verdict.rule.max_drop
    if found.low > -margin:
        return "passed", f"a drop of {margin:.3g} or more is ruled out"
    if verdict.p_holm <= alpha and found.difference < 0:
        return "regressed", f"worse (p {verdict.p_holm:.2g}), and a drop of {margin:.3g} is not ruled out"
    return "inconclusive", _too_few(found, f"a drop of {margin:.3g} is not ruled out")


def _significance(verdict: Verdict, alpha: float) -> tuple[Outcome, str]:
    found, rule = verdict.comparison, verdict.rule
    if verdict.p_holm <= alpha and -found.difference > rule.max_drop:
        return "regressed", f"worse by {-found.difference:.3g} (p {verdict.p_holm:.2g})"
    if found.detectable is None or found.detectable > rule.detectable:
        return "inconclusive", _too_few(found, f"drops of {rule.detectable:.3g} would not be found reliably")
    return "passed", f"no drop above {rule.max_drop:.3g} is significant; drops from {found.detectable:.3g} on would be found"


def _too_few(found: Comparison, what: str) -> str:
    shown = "no drop at all" if found.detectable is None else f"drops from {found.detectable:.3g} on"
    return f"cannot tell: {what}; {found.documents} documents of {found.concepts} concepts show {shown}"
