"""What a gate tolerates: a YAML file, the first rule whose pattern fits a task deciding."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer_tasks.errors import ResultsError
from finer_tasks.parsing import read_yaml

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Rule:
    """For tasks whose name matches `tasks` (shell pattern).

    max_drop: the largest drop that is tolerated, in units of the metric: of a score between 0 and 1, 0.02 is two points.
    test: non_inferiority passes if the interval's lower end is above -max_drop; significance
    passes unless the candidate is significantly worse by more than max_drop points, if the
    documents would have shown a drop of `detectable`.
    """

    tasks: str = "*"
    metric: str | None = None
    max_drop: float = Field(default=0.02, ge=0, allow_inf_nan=False)
    test: Literal["non_inferiority", "significance"] = "non_inferiority"
    detectable: float = Field(default=0.03, gt=0, allow_inf_nan=False)
    direction: Literal["higher", "lower"] = "higher"
    skip: bool = False

    def __post_init__(self) -> None:
        if self.test == "non_inferiority" and self.max_drop == 0:
            raise ValueError("non_inferiority needs a max_drop above 0; with 0 use test: significance")


@dataclass(frozen=True, config=_STRICT)
class Policy:
    """A gate's rules, error rate (over all tasks, by Holm), power for what is detectable, and what inconclusive means."""

    rules: tuple[Rule, ...] = (Rule(),)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    power: float = Field(default=0.8, gt=0.5, lt=1)
    inconclusive: Literal["fail", "pass"] = "fail"
    missing_tasks: Literal["refuse", "ignore"] = "refuse"
    seed: int = Field(default=0, ge=0)
    allow: tuple[str, ...] = field(default=())

    def rule(self, task: str) -> Rule:
        """The first rule that fits; raises ResultsError if none does."""
        for rule in self.rules:
            if fnmatchcase(task, rule.tasks):
                return rule
        raise ResultsError(f"no rule of the policy fits {task}; add one with tasks: '*'")

    def check(self, tasks: Collection[str]) -> None:
        """Raise ResultsError for a rule that fits none of the tasks, or that stands behind a wider one and so never decides."""
        for number, rule in enumerate(self.rules):
            wider = next((i for i, r in enumerate(self.rules[:number]) if fnmatchcase(rule.tasks, r.tasks)), None)
            if wider is not None:
                why = (
                    f"rules.{wider} (tasks: {self.rules[wider].tasks!r}) decides all that it fits; put the narrower rule first"
                )
            elif any(fnmatchcase(task, rule.tasks) for task in tasks):
                continue
            else:
                near = difflib.get_close_matches(rule.tasks, tasks, n=1)
                why = f"it fits no task of these runs{f'; did you mean {near[0]!r}?' if near else ''}"
            raise ResultsError(f"policy: rules.{number} (tasks: {rule.tasks!r}) does nothing: {why}")


def read_policy(path: Path | None) -> Policy:
    """The policy of a file, or the default one; raises ResultsError with file and field."""
    if path is None:
        return Policy()
    try:
        raw = read_yaml(path, ResultsError)[1]
        return TypeAdapter(Policy).validate_python(raw if raw is not None else {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise ResultsError(f"{path}: {problems}") from error
