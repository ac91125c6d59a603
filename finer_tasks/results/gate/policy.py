"""What a gate tolerates: a YAML file, the first rule whose pattern fits a task deciding."""

from __future__ import annotations

from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from finer_tasks.errors import ResultsError

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Rule:
    """For tasks whose name matches `tasks` (shell pattern).

    max_drop: the largest drop that is tolerated, in units of the metric (0.02 = two points).
    test: non_inferiority passes if the interval's lower end is above -max_drop; significance
    passes unless the candidate is significantly worse by more than max_drop points, if the
    documents would have shown a drop of `detectable`.
    """

    tasks: str = "*"
    metric: str | None = None
    max_drop: float = Field(default=0.02, ge=0)
    test: Literal["non_inferiority", "significance"] = "non_inferiority"
    detectable: float = Field(default=0.03, gt=0)
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
    seed: int = 0
    allow: tuple[str, ...] = field(default=())

    def rule(self, task: str) -> Rule:
        """The first rule that fits; raises ResultsError if none does."""
        for rule in self.rules:
            if fnmatchcase(task, rule.tasks):
                return rule
        raise ResultsError(f"no rule of the policy fits {task}; add one with tasks: '*'")


def read_policy(path: Path | None) -> Policy:
    """The policy of a file, or the default one; raises ResultsError with file and field."""
    if path is None:
        return Policy()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(Policy).validate_python(raw if raw is not None else {})
    except (OSError, yaml.YAMLError) as error:
        raise ResultsError(f"{path} cannot be read as a policy: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise ResultsError(f"{path}: {problems}") from error
