"""The options that a document of a run was offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finer_tasks.datasets.prepare import ensure_prepared
from finer_tasks.errors import ResultsError
from finer_tasks.options.choosing import Options, described, options_of
from finer_tasks.options.settings import PROTOCOLS, VARIABLE, active_setting
from finer_tasks.runs.samples import Sample
from finer_tasks.scoring.multiple_choice import DETAIL, offered_in


def offered_to(sample: Sample, identity: Mapping[str, Any]) -> Options:
    """As the sample tells, or, for answers without scores, which tell none, by FINER_CHOICES, which must be that of the run.

    Raises ResultsError.
    """
    if DETAIL in sample.items:
        return offered_in(sample.items[DETAIL])
    setting, told = active_setting(), identity.get("choices")
    found = described(setting, ensure_prepared(str(identity["dataset"])), str(identity["level"]))
    if found != told:
        raise ResultsError(f"the options of the run were chosen by {told}, {VARIABLE} chooses by {found}; set it as in the run")
    return options_of(sample.record, str(identity["level"]), setting)


def is_protocol(identity: Mapping[str, Any]) -> bool:
    """Whether the question was that of a published benchmark, whose rule takes replies literally."""
    return (identity.get("choices") or {}).get("name") in PROTOCOLS
