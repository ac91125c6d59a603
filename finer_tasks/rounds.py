"""The old place of finer_tasks.tasks.rounds, for YAMLs that users copied; goes with version 0.4."""

from __future__ import annotations

import warnings

from finer_tasks.tasks.rounds import FirstReply

__all__ = ["FirstReply"]

warnings.warn("finer_tasks.rounds has moved: write !function finer_tasks.tasks.rounds.FirstReply", FutureWarning, stacklevel=2)
