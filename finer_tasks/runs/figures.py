"""The figures of a task from its documents, under the names and by the formulas of lmms-eval's result file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from finer_tasks.statistics.clusters import Clusters
from finer_tasks.tasks import hooks

Items = Sequence[Mapping[str, Any]]
# A result file writes a function as Python shows it.
_FUNCTION = re.compile(r"<function (\w+) at 0x[0-9a-f]+>|(\w+)")
_UNKNOWN = "N/A"


def figures(config: Mapping[str, Any], items: Mapping[str, Items]) -> tuple[dict[str, Any], list[str]]:
    """The entry of a task in `results`, and the metrics that cannot be computed here, by functions of a user's own.

    `config` is the task's as its result file has it, `items` those of each metric in the order of the documents.
    """
    label = _filter_of(config)
    found: dict[str, Any] = {"alias": config.get("task")}
    unknown = []
    for entry in config.get("metric_list") or ():
        name = str(entry.get("metric"))
        aggregate = _aggregation(str(entry.get("aggregation")))
        if aggregate is None or name not in items:
            unknown.append(name)
            continue
        simple, clustered = _errors(items[name])
        found |= {
            f"{name},{label}": aggregate(items[name]),
            f"{name}_stderr,{label}": _UNKNOWN,
            f"{name}_stderr_clt,{label}": simple,
            f"{name}_stderr_clustered,{label}": clustered,
        }
    return found, unknown


def _aggregation(shown: str) -> Callable[[Items], float] | None:
    """The function of ours that tasks name so; None for one of a user's own."""
    match = _FUNCTION.fullmatch(shown)
    found = getattr(hooks, match[1] or match[2], None) if match else None
    return found if getattr(found, "__module__", "").startswith("finer_tasks.scoring.") else None


def _errors(items: Items) -> tuple[float | str, float | str]:
    """Standard errors of the mean as lmms-eval has them, by document and clustered by concept; N/A where it has none.

    Clustered: sqrt(s^2 / n + sum over concepts of ((sum r)^2 - sum r^2) / n^2) with the residuals r, equation 4 of Miller
    2024 (arXiv 2411.00640), where s^2 has n - 1 degrees of freedom.
    """
    scored = [item for item in items if "score" in item]
    n = len(scored)
    if n < 2:
        return _UNKNOWN, _UNKNOWN
    values = np.array([item["score"] for item in scored], dtype=float)
    variance = float(values.var(ddof=1)) / n
    clusters = Clusters.of([str(item["concept_id"]) for item in scored])
    if len(clusters) < 2:
        return math.sqrt(variance), _UNKNOWN
    residuals = values - values.mean()
    together = float((clusters.sums(residuals) ** 2).sum() - (residuals**2).sum()) / n**2
    return math.sqrt(variance), math.sqrt(max(0.0, variance + together))


def _filter_of(config: Mapping[str, Any]) -> str:
    """The name behind the comma in the keys of figures."""
    filters = config.get("filter_list") or [{}]
    return str(filters[0].get("name") or "none")
