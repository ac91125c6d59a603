"""The old place of finer_tasks.tasks.hooks, for YAMLs that users wrote; goes with version 0.4."""

from __future__ import annotations

from loguru import logger

from finer_tasks.tasks.hooks import *  # noqa: F403

# Not warnings.warn: lmms-eval silences it.
logger.warning("finer_tasks.hooks has moved: write !function finer_tasks.tasks.hooks.NAME")
