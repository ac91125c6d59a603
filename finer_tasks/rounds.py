"""The old place of finer_tasks.tasks.rounds, for YAMLs that users copied; goes with version 0.4."""

from __future__ import annotations

from loguru import logger

from finer_tasks.tasks.rounds import FirstReply

__all__ = ["FirstReply"]

# Not warnings.warn: lmms-eval silences it.
logger.warning("finer_tasks.rounds has moved: write !function finer_tasks.tasks.rounds.FirstReply")
