"""The old place of finer_tasks.tasks.hooks, for YAMLs that users wrote; goes with version 0.4."""

from __future__ import annotations

import warnings

from finer_tasks.tasks.hooks import *  # noqa: F403

warnings.warn("finer_tasks.hooks has moved: write !function finer_tasks.tasks.hooks.NAME", FutureWarning, stacklevel=2)
